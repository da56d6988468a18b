#include "engine/service/stream.h"

#include <cstdlib>

#include "engine/service/connection.h"
#include "engine/service/job_events.h"

namespace hc {
namespace {

constexpr unsigned kBeatSeconds = 15;

std::uint64_t place_to_begin(SoupServerMessage* message) {
  const char* last = soup_message_headers_get_one(soup_server_message_get_request_headers(message), "Last-Event-ID");
  return last == nullptr ? 0 : std::strtoull(last, nullptr, 10);
}

std::string one_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

JobStream::JobStream(SoupServerMessage* message, JobQueue queue, std::uint64_t job)
    : message_(retain(message)), queue_(std::move(queue)), job_(job), place_(place_to_begin(message)) {
  SoupMessageHeaders* headers = soup_server_message_get_response_headers(message);
  soup_server_message_set_status(message, SOUP_STATUS_OK, nullptr);
  soup_message_headers_set_content_type(headers, "text/event-stream", nullptr);
  soup_message_headers_replace(headers, "Cache-Control", "no-store");
  soup_message_headers_replace(headers, "Connection", "close");
  soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
  soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
  Connection::of(message).limit(0);
  g_signal_connect(message, "wrote-chunk", G_CALLBACK(+[](SoupServerMessage*, gpointer self) {
                     auto& stream = *static_cast<JobStream*>(self);
                     stream.writing_ = false;
                     if (stream.ending_) return;
                     Connection::of(stream.message_.get()).limit(0);
                     stream.tell();
                   }),
                   this);
  g_signal_connect(message, "finished",
                   G_CALLBACK(+[](SoupServerMessage*, gpointer self) { static_cast<JobStream*>(self)->gone_ = true; }),
                   this);
  // Finds out that a client has gone, and keeps what stands between us from closing a silent connection.
  beat_ = g_timeout_add_seconds(
      kBeatSeconds,
      [](gpointer self) -> gboolean {
        auto& stream = *static_cast<JobStream*>(self);
        if (!stream.gone_ && !stream.writing_ && !stream.ending_) stream.send(": still here\n\n");
        return G_SOURCE_CONTINUE;
      },
      this);
}

JobStream::~JobStream() {
  g_source_remove(beat_);
  g_signal_handlers_disconnect_by_data(message_.get(), this);
  if (!gone_) Connection::of(message_.get()).cut();
}

void JobStream::send(const std::string& text) {
  writing_ = true;
  Connection::of(message_.get()).limit(Connection::kAnswerMs);
  soup_message_body_append(soup_server_message_get_response_body(message_.get()), SOUP_MEMORY_COPY, text.data(),
                           text.size());
  soup_server_message_unpause(message_.get());
}

std::string JobStream::next() {
  // The job first: what the log had before an end is told before the end.
  const auto job = queue_.find(job_);
  std::string text;
  const auto events = read_events(queue_.events_file(job_), place_);
  if (events && !events->empty()) {
    for (const JobEvent& event : *events) {
      text += "id: " + std::to_string(event.id) + "\nevent: " + event.event + "\ndata: " + event.text + "\n\n";
      place_ = event.id;
    }
    return text;
  }
  if (!job || !*job) {
    ending_ = true;
    return "event: gone\ndata: {}\n\n";
  }
  const std::string state = std::string(name((*job)->state)) + " " + (*job)->reason;
  ending_ = ended((*job)->state);
  if (state == told_) return "";
  told_ = state;
  return "event: job\ndata: " + one_line(to_json(**job)) + "\n\n";
}

void JobStream::tell() {
  if (gone_ || writing_ || ending_) return;
  const std::string text = next();
  if (!text.empty()) send(text);
  if (ending_) {
    soup_message_body_complete(soup_server_message_get_response_body(message_.get()));
    soup_server_message_unpause(message_.get());
  }
}

}  // namespace hc
