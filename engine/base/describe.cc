#include "engine/base/describe.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace hc {
namespace {

std::vector<const CLI::App*> verbs(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<const CLI::Option*> shown_options(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_group().empty(); });
}

// "-t,--target" as a list.
std::vector<std::string> flags(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// Hyphens of options are minus signs; a line must not begin with a dot.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '-' || c == '\\') out += '\\';
    if (c == '.' && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c;
  }
  return out;
}

void man_options(const CLI::App& app, std::string& out) {
  for (const CLI::Option* option : shown_options(app)) {
    const bool positional = option->get_positional();
    std::string head = positional ? "\\fI" + roff(option->get_name(true)) + "\\fR"
                                  : "\\fB" + roff(joined(flags(*option), ", ")) + "\\fR";
    if (!positional && option->get_items_expected_max() > 0) head += " \\fI" + roff(option->get_type_name()) + "\\fR";
    out += ".TP\n" + head + "\n" + roff(option->get_description()) + "\n";
  }
}

void man_verbs(const CLI::App& app, const std::string& prefix, std::string& out) {
  for (const CLI::App* verb : verbs(app)) {
    const std::string name = prefix + verb->get_name();
    out += ".SS " + roff(name) + "\n" + roff(verb->get_description()) + ".\n";
    man_options(*verb, out);
    man_verbs(*verb, name + " ", out);
  }
}

std::string manual(const CLI::App& app, const std::string& section) {
  std::string out = ".TH " + app.get_name() + " " + section + " \"\" \"Honeycomb OS " HC_VERSION "\"\n.SH NAME\n" +
                    roff(app.get_name()) + " \\- " + roff(app.get_description()) + "\n.SH SYNOPSIS\n\\fB" +
                    roff(app.get_name()) + "\\fR [options]" + (verbs(app).empty() ? "" : " \\fIverb\\fR ...") +
                    "\n.SH OPTIONS\n";
  man_options(app, out);
  if (!verbs(app).empty()) out += ".SH VERBS\n";
  man_verbs(app, "", out);
  if (!app.get_footer().empty()) out += ".SH NOTES\n.nf\n" + roff(app.get_footer()) + "\n.fi\n";
  return out;
}

std::string words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* verb : verbs(app)) words.push_back(verb->get_name());
  for (const CLI::Option* option : shown_options(app))
    for (const std::string& flag : flags(*option)) words.push_back(flag);
  return joined(words, " ");
}

std::string function_name(const CLI::App& app) {
  std::string name = "_" + app.get_name();
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
}

std::string bash(const CLI::App& app) {
  const std::string function = function_name(app);
  std::string out = function +
                    "() {\n  local word verb='' words\n  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                    "    case $word in -*) ;; *) verb=$word; break ;; esac\n  done\n  case $verb in\n";
  for (const CLI::App* verb : verbs(app)) out += "    " + verb->get_name() + ") words='" + words_of(*verb) + "' ;;\n";
  return out + "    *) words='" + words_of(app) +
         "' ;;\n  esac\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
         "\"${COMP_WORDS[COMP_CWORD]}\")\n}\ncomplete -o default -F " +
         function + " " + app.get_name() + "\n";
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string zsh(const CLI::App& app) {
  const std::string function = function_name(app);
  std::string out =
      "#compdef " + app.get_name() + "\n" + function + "() {\n  local -a verbs own\n  local word verb=''\n  verbs=(\n";
  for (const CLI::App* verb : verbs(app)) {
    std::string text = verb->get_description();
    std::replace(text.begin(), text.end(), ':', ' ');
    out += "    " + quoted(verb->get_name() + ":" + text) + "\n";
  }
  out +=
      "  )\n  for word in \"${(@)words[2,CURRENT-1]}\"; do\n    [[ $word == -* ]] || { verb=$word; break }\n  done\n"
      "  case $verb in\n";
  for (const CLI::App* verb : verbs(app)) out += "    " + verb->get_name() + ") own=(" + words_of(*verb) + ") ;;\n";
  return out + "    *) _describe verb verbs; own=(" + words_of(app) + ") ;;\n  esac\n  compadd -- $own\n  _files\n}\n" +
         function + " \"$@\"\n";
}

std::string fish(const CLI::App& app) {
  std::string out;
  const auto options = [&](const CLI::App& of, const std::string& when) {
    for (const CLI::Option* option : shown_options(of)) {
      if (option->get_positional()) continue;
      out += "complete -c " + app.get_name() + when;
      for (const std::string& name : option->get_snames()) out += " -s " + name;
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      if (option->get_items_expected_max() > 0) out += " -r";
      out += " -d " + quoted(option->get_description()) + "\n";
    }
  };
  options(app, "");
  for (const CLI::App* verb : verbs(app)) {
    out += "complete -c " + app.get_name() + " -n __fish_use_subcommand -a " + verb->get_name() + " -d " +
           quoted(verb->get_description()) + "\n";
    options(*verb, " -n '__fish_seen_subcommand_from " + verb->get_name() + "'");
  }
  return out;
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

}  // namespace

void add_descriptions(CLI::App& app, const std::string& section) {
  app.add_flag_callback("--man",
                        [&app, section] {
                          print(manual(app, section));
                          throw CLI::Success();
                        })
      ->group("");
  app.add_option_function<std::string>("--completion",
                                       [&app](const std::string& shell) {
                                         print(shell == "bash" ? bash(app) : (shell == "zsh" ? zsh(app) : fish(app)));
                                         throw CLI::Success();
                                       })
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->group("");
}

}  // namespace hc
