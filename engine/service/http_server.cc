#include "engine/service/http_server.h"

#include <algorithm>

#include "engine/base/text.h"

namespace hc {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::map<std::string, std::string> headers_of(SoupServerMessage* message) {
  std::map<std::string, std::string> headers;
  soup_message_headers_foreach(
      soup_server_message_get_request_headers(message),
      [](const char* name, const char* value, gpointer map) {
        (*static_cast<std::map<std::string, std::string>*>(map))[lower(name)] = value;
      },
      &headers);
  return headers;
}

std::map<std::string, std::string> map_of(GHashTable* table) {
  std::map<std::string, std::string> map;
  if (table == nullptr) return map;
  g_hash_table_foreach(
      table,
      [](gpointer key, gpointer value, gpointer out) {
        (*static_cast<std::map<std::string, std::string>*>(out))[static_cast<const char*>(key)] =
            static_cast<const char*>(value);
      },
      &map);
  return map;
}

void write_answer(SoupServerMessage* message, const Answer& answer) {
  SoupMessageHeaders* headers = soup_server_message_get_response_headers(message);
  for (const auto& [name, value] : answer.headers) soup_message_headers_replace(headers, name.c_str(), value.c_str());
  soup_message_headers_replace(headers, "Connection", "close");
  soup_message_headers_replace(headers, "X-Content-Type-Options", "nosniff");
  soup_message_headers_replace(headers, "Cache-Control", "no-cache");
  soup_server_message_set_status(message, static_cast<guint>(answer.status), nullptr);
  if (answer.status == 304) return;
  soup_server_message_set_response(message, answer.type.c_str(), SOUP_MEMORY_COPY, answer.body.data(),
                                   answer.body.size());
}

}  // namespace

// One request between the main loop and a thread.
struct HttpServer::Work {
  HttpServer* server = nullptr;
  GRef<SoupServerMessage> message;
  bool gone = false;  // main loop only: the client has left
  gulong signal = 0;
  Ask ask;
  Answer answer;
};

HttpServer::HttpServer(const Api& api)
    : api_(api), server_(adopt(soup_server_new("server-header", "honeycombd", nullptr))), door_(server_.get()) {
  constexpr int kThreads = 2;
  threads_ = g_thread_pool_new(&HttpServer::on_thread, this, kThreads, TRUE, nullptr);
  soup_server_add_early_handler(server_.get(), nullptr, &HttpServer::on_headers, this, nullptr);
  soup_server_add_handler(server_.get(), nullptr, &HttpServer::on_request, this, nullptr);
}

HttpServer::~HttpServer() {
  g_thread_pool_free(threads_, FALSE, TRUE);
  streams_.clear();
  soup_server_disconnect(server_.get());
}

// A body that is too long is not read: nobody must be able to fill the memory or keep us busy.
void HttpServer::on_headers(SoupServer*, SoupServerMessage* message, const char*, GHashTable*, gpointer) {
  Connection& connection = Connection::of(message);
  SoupMessageHeaders* headers = soup_server_message_get_request_headers(message);
  SoupMessageBody* body = soup_server_message_get_request_body(message);
  const bool told = soup_message_headers_get_encoding(headers) == SOUP_ENCODING_CONTENT_LENGTH;
  if (told && soup_message_headers_get_content_length(headers) > static_cast<goffset>(kMostBody)) {
    soup_message_body_set_accumulate(body, FALSE);
    write_answer(message, problem(Error(Code::invalid, "the body is too long"), 413));
    connection.limit(1000);
    return;
  }
  g_signal_connect(message, "got-chunk", G_CALLBACK(+[](SoupServerMessage* self, GBytes*, gpointer) {
                     const SoupMessageBody* so_far = soup_server_message_get_request_body(self);
                     if (so_far->length > static_cast<goffset>(kMostBody)) Connection::of(self).cut();
                   }),
                   nullptr);
}

void HttpServer::on_request(SoupServer*, SoupServerMessage* message, const char* path, GHashTable* query,
                            gpointer self) {
  if (soup_server_message_get_status(message) != 0) return;  // refused with its headers
  static_cast<HttpServer*>(self)->take(message, path, query);
}

bool HttpServer::room(const Caller& caller) {
  if (pending_ >= kMostPending) return false;
  return (caller.local_socket && caller.uid == 0) || requests_.take(SystemClock().monotonic_ms());
}

void HttpServer::take(SoupServerMessage* message, const char* path, GHashTable* query) {
  Connection& connection = Connection::of(message);
  connection.limit(Connection::kAnswerMs);
  if (!room(connection.caller())) {
    write_answer(message, problem(Error(Code::busy, "too many requests"), 429));
    return;
  }
  auto* work = new Work;
  work->server = this;
  work->message = retain(message);
  const SoupMessageBody* body = soup_server_message_get_request_body(message);
  work->ask = {
      soup_server_message_get_method(message),
      path,
      map_of(query),
      headers_of(message),
      body->length > 0 && body->data != nullptr ? std::string(body->data, static_cast<std::size_t>(body->length)) : "",
      connection.caller(),
      {}};
  work->signal = g_signal_connect(
      message, "finished",
      G_CALLBACK(+[](SoupServerMessage*, gpointer data) { static_cast<Work*>(data)->gone = true; }), work);
  ++pending_;
  soup_server_message_pause(message);
  g_thread_pool_push(threads_, work, nullptr);
}

void HttpServer::on_thread(gpointer data, gpointer self) {
  auto* work = static_cast<Work*>(data);
  work->answer = static_cast<HttpServer*>(self)->api_.answer(std::move(work->ask));
  g_idle_add_full(G_PRIORITY_DEFAULT, &HttpServer::on_answered, work, nullptr);
}

gboolean HttpServer::on_answered(gpointer data) {
  const std::unique_ptr<Work> work(static_cast<Work*>(data));
  g_signal_handler_disconnect(work->message.get(), work->signal);
  --work->server->pending_;
  if (!work->gone) work->server->reply(work->message.get(), work->answer);
  return G_SOURCE_REMOVE;
}

void HttpServer::reply(SoupServerMessage* message, const Answer& answer) {
  if (answer.follow) {
    follow(message, *answer.follow);
  } else {
    write_answer(message, answer);
  }
  soup_server_message_unpause(message);
}

void HttpServer::follow(SoupServerMessage* message, std::uint64_t job) {
  std::erase_if(streams_, [](const auto& stream) { return stream->gone(); });
  auto queue = api_.queue();
  if (!queue || streams_.size() >= kMostStreams) {
    write_answer(message, problem(Error(Code::busy, "too many clients follow jobs"), 503));
    return;
  }
  streams_.push_back(std::make_unique<JobStream>(message, std::move(queue).value(), job));
  streams_.back()->tell();
}

void HttpServer::tell_streams() {
  std::erase_if(streams_, [](const auto& stream) { return stream->gone(); });
  for (const auto& stream : streams_) stream->tell();
}

}  // namespace hc
