#include "engine/service/job_events.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hc {
namespace {

constexpr std::uint64_t kChattyBytes = 1 << 20;  // from here on steps only
constexpr std::uint64_t kMostBytes = 4 << 20;    // from here on nothing
constexpr std::size_t kMostLine = 256 << 10;
constexpr std::int64_t kProgressMs = 500;

bool chatty(const std::string& event) { return event == "progress" || event == "insight" || event == "line"; }

}  // namespace

Result<JobEventLog> JobEventLog::open(const fs::path& file, Clock& clock) {
  UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "opening " + file.string());
  JobEventLog log(std::move(fd), static_cast<std::uint64_t>(info.st_size), clock);
  // Ends the line that a killed writer may have left open; a reader passes over what is no JSON.
  if (info.st_size > 0 && ::write(log.fd_.get(), "\n", 1) == 1) ++log.size_;
  return log;
}

void JobEventLog::write(const std::string& event, const Json& data) {
  if (size_ > (chatty(event) ? kChattyBytes : kMostBytes)) return;
  if (event == "progress") {
    const std::int64_t now = clock_->monotonic_ms();
    auto [last, first] = told_.try_emplace(data.value("what", ""), now);
    const bool all_done = data.value("total", 0U) != 0 && data.value("done", 0U) == data.value("total", 0U);
    if (!first && !all_done && now - last->second < kProgressMs) return;
    last->second = now;
  }
  const std::string line = dump_json({{"event", event}, {"at", clock_->wall_seconds()}, {"data", data}}, -1);
  if (line.size() > kMostLine) return;
  const ssize_t written = ::write(fd_.get(), line.data(), line.size());
  if (written > 0) size_ += static_cast<std::uint64_t>(written);
}

Result<std::vector<JobEvent>> read_events(const fs::path& file, std::uint64_t after, std::size_t limit) {
  std::vector<JobEvent> events;
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return events;
  if (!fd) return Error::from_errno(errno, "opening " + file.string());
  std::string text(std::max(limit, kMostLine), '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), static_cast<off_t>(after));
  if (got < 0) return Error::from_errno(errno, "reading " + file.string());
  text.resize(static_cast<std::size_t>(got));
  std::size_t from = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos && from < limit; end = text.find('\n', from)) {
    const std::string line = text.substr(from, end - from);
    from = end + 1;
    const auto json = parse_json(line);
    if (json && json->is_object() && json->contains("event") && (*json)["event"].is_string())
      events.push_back({after + from, (*json)["event"].get<std::string>(), line});
  }
  return events;
}

}  // namespace hc
