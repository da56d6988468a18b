// hc-insight: how a hook says what it is doing. See the usage text.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/insight/message.h"

namespace {

constexpr const char* kUsage =
    "usage: hc-insight progress PERCENT [TEXT]     how far the hook is, 0 to 100\n"
    "       hc-insight metric NAME NUMBER          something measured\n"
    "       hc-insight state NAME=VALUE...         something that is so\n"
    "       hc-insight log debug|info|warn|error TEXT\n"
    "Does nothing where HC_INSIGHT is not set, so that a hook can be run by hand. Never waits.\n";

constexpr int kBadUsage = 2;

int bad_usage(const std::string& what) {
  std::fprintf(stderr, "hc-insight: %s\n%s", what.c_str(), kUsage);
  return kBadUsage;
}

// Cut to what a message may carry, between two characters.
std::string fitting(std::string text) {
  if (text.size() <= hc::kLongestInsightText) return text;
  std::size_t size = hc::kLongestInsightText;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  text.resize(size);
  return text;
}

// Whether it arrives is not the hook's concern: nobody may be listening, or the listener may have more than it wants.
void send(const hc::InsightMessage& message) {
  const char* path = std::getenv("HC_INSIGHT");
  sockaddr_un address{};
  if (path == nullptr || *path == '\0' || std::strlen(path) >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const std::string bytes = hc::encode(message);
  sendto(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
         sizeof address);
  close(fd);
}

std::string joined(const std::vector<std::string>& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i > from ? " " : "") + words[i];
  return fitting(std::move(text));
}

int progress(const std::vector<std::string>& words) {
  if (words.size() < 2) return bad_usage("progress needs a percentage");
  const auto percent = hc::insight_number(words[1]);
  if (!percent || *percent < 0 || *percent > 100) {
    return bad_usage("\"" + words[1] + "\" is no percentage from 0 to 100");
  }
  send({"progress", "", *percent, joined(words, 2)});
  return 0;
}

int metric(const std::vector<std::string>& words) {
  if (words.size() != 3) return bad_usage("metric needs a name and a number");
  if (!hc::is_insight_name(words[1])) return bad_usage("\"" + words[1] + "\" is no name");
  const auto number = hc::insight_number(words[2]);
  if (!number) return bad_usage("\"" + words[2] + "\" is no number");
  send({"metric", words[1], *number, ""});
  return 0;
}

int state(const std::vector<std::string>& words) {
  if (words.size() < 2) return bad_usage("state needs NAME=VALUE");
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos || !hc::is_insight_name(words[i].substr(0, equals))) {
      return bad_usage("\"" + words[i] + "\" is not NAME=VALUE");
    }
  }
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string value = fitting(words[i].substr(equals + 1));
    send({"state", std::string_view{words[i]}.substr(0, equals), 0, value});
  }
  return 0;
}

int log(const std::vector<std::string>& words) {
  if (words.size() < 3) return bad_usage("log needs a level and a text");
  if (!hc::is_insight_level(words[1])) return bad_usage("\"" + words[1] + "\" is no level");
  send({"log", words[1], 0, joined(words, 2)});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) return bad_usage("what is to be said?");
  if (words[0] == "--help" || words[0] == "-h") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (words[0] == "progress") return progress(words);
  if (words[0] == "metric") return metric(words);
  if (words[0] == "state") return state(words);
  if (words[0] == "log") return log(words);
  return bad_usage("\"" + words[0] + "\" is none of progress, metric, state, log");
}
