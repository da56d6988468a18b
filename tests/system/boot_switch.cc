#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bootloader/factory.h"

// What the engine does to a bootloader, for a test that starts the real one:
//   boot_switch KIND BOOT state | arm SLOT TRIES | confirm SLOT | disarm | entry SLOT KERNEL ARGUMENTS
// BOOT is a folder with the mark of a sandbox; the test carries its files to a disk and back.
namespace hc {
namespace {

Status print_state(BootControl& boot) {
  const BootState state = HC_TRY(boot.state());
  std::printf("%s %s %u\n", std::string(name(state.confirmed)).c_str(),
              state.trial ? std::string(name(*state.trial)).c_str() : "-", state.tries_left);
  return ok;
}

Status run(const std::vector<std::string>& words) {
  const auto boot = HC_TRY(make_boot_control(words.at(0), words.at(1)));
  const std::string& verb = words.at(2);
  if (verb == "state") return print_state(*boot);
  if (verb == "disarm") return boot->disarm();
  const Slot slot = HC_TRY(parse_slot(words.at(3)));
  if (verb == "confirm") return boot->confirm(slot);
  if (verb == "arm") return boot->arm(slot, static_cast<unsigned>(std::stoul(words.at(4))));
  if (verb == "entry")
    return boot->install_entry(slot,
                               {.title = "Node", .kernel = words.at(4), .initramfs = "", .arguments = words.at(5)});
  return Error(Code::invalid, "boot_switch: no such verb");
}

}  // namespace
}  // namespace hc

// NOLINTNEXTLINE(bugprone-exception-escape): a test that gives too few words may end with a crash
int main(int argc, char** argv) {
  const hc::Status done = hc::run({argv + 1, argv + argc});
  if (!done) std::fprintf(stderr, "%s\n", done.error().text().c_str());
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
