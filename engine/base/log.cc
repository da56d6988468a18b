#include "engine/base/log.h"

#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/base/text.h"

namespace hc {
namespace {

bool to_journal() { return std::getenv("JOURNAL_STREAM") != nullptr; }

int priority(Level level) {
  switch (level) {
    case Level::debug:
      return 7;
    case Level::info:
      return 6;
    case Level::warning:
      return 4;
    case Level::error:
      return 3;
  }
  return 3;
}

void send(std::vector<std::string> fields) {
  std::vector<iovec> parts;
  parts.reserve(fields.size());
  for (std::string& field : fields) parts.push_back({field.data(), field.size()});
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

std::vector<std::string> base_fields(Level level, std::string_view text) {
  return {"MESSAGE=" + printable(text), "PRIORITY=" + std::to_string(priority(level)), "SYSLOG_IDENTIFIER=hc-os"};
}

}  // namespace

void log(Level level, std::string_view text) {
  if (level == Level::debug && std::getenv("HC_DEBUG") == nullptr) return;
  if (to_journal()) {
    send(base_fields(level, text));
    return;
  }
  constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  std::fprintf(stderr, "%s: %s\n", kNames[static_cast<int>(level)], printable(text).c_str());
}

void event(const EventId& id, std::string_view text,
           std::initializer_list<std::pair<std::string_view, std::string>> fields) {
  if (!to_journal()) return;  // the command line tells the same story in its own words
  std::vector<std::string> all = base_fields(Level::info, text);
  all.push_back(std::string("MESSAGE_ID=") + id.message_id);
  for (const auto& [key, value] : fields) all.push_back(std::string(key) + "=" + printable(value));
  send(std::move(all));
}

}  // namespace hc
