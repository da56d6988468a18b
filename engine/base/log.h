#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

// What operators read. Under systemd (JOURNAL_STREAM) it goes to the journal with fields, else to standard error as
// lines.
namespace hc {

enum class Level { debug, info, warning, error };

// Nothing secret, no address with credentials. Lines below the threshold (info; debug with HC_DEBUG=1) are dropped.
void log(Level level, std::string_view text);

// Something that operators count. `message_id` is 32 hex digits, fixed for ever and listed in docs/operations.md; field
// names are HC_*.
struct EventId {
  const char* message_id;
  const char* name;
};
void event(const EventId& id, std::string_view text,
           std::initializer_list<std::pair<std::string_view, std::string>> fields);

}  // namespace hc
