#include "engine/service/connection.h"

#include <gio/gunixsocketaddress.h>
#include <unistd.h>

#include "engine/base/file.h"

namespace hc {
namespace {

constexpr const char* kKey = "honeycomb-connection";

void forget(gpointer connection) { delete static_cast<Connection*>(connection); }

Caller caller_on(GSocket* socket, bool local) {
  if (!local) return {};
  const GRef<GCredentials> who = adopt(g_socket_get_credentials(socket, nullptr));
  if (!who) return {true, static_cast<unsigned>(-1), "unknown", false};
  return caller_of(g_credentials_get_unix_user(who.get(), nullptr));
}

}  // namespace

Connection::Connection(GSocketConnection* stream, Caller caller)
    : socket_(retain(g_socket_connection_get_socket(stream))), caller_(std::move(caller)) {
  limit(kRequestMs);
}

Connection::~Connection() { limit(0); }

void Connection::limit(unsigned ms) {
  if (timer_ != 0) g_source_remove(timer_);
  timer_ = 0;
  if (ms == 0) return;
  timer_ = g_timeout_add(
      ms,
      [](gpointer self) -> gboolean {
        static_cast<Connection*>(self)->timer_ = 0;
        static_cast<Connection*>(self)->cut();
        return G_SOURCE_REMOVE;
      },
      this);
}

// libsoup sees the end of the stream and lets go of it.
void Connection::cut() const { g_socket_shutdown(socket_.get(), TRUE, TRUE, nullptr); }

Connection& Connection::of(SoupServerMessage* message) {
  return *static_cast<Connection*>(g_object_get_data(G_OBJECT(soup_server_message_get_remote_address(message)), kKey));
}

struct Door::Listener {
  Door* door = nullptr;
  GRef<GSocket> socket;
  bool local = false;
  guint source = 0;
  std::shared_ptr<unsigned> open = std::make_shared<unsigned>(0);  // connections may outlive the door
};

Door::Door(SoupServer* server) : server_(retain(server)) {}

Door::~Door() {
  for (const auto& listener : listeners_) g_source_remove(listener->source);
}

Status Door::listen(GRef<GSocket> socket) {
  auto listener = std::make_unique<Listener>();
  listener->door = this;
  listener->local = g_socket_get_family(socket.get()) == G_SOCKET_FAMILY_UNIX;
  listener->socket = std::move(socket);
  g_socket_set_blocking(listener->socket.get(), FALSE);
  // A full backlog makes honest clients wait for seconds; what is too much is closed instead.
  constexpr int kBacklog = 1024;
  g_socket_set_listen_backlog(listener->socket.get(), kBacklog);
  if (!g_socket_listen(listener->socket.get(), nullptr)) return Error(Code::io, "the socket cannot listen");
  GSource* source = g_socket_create_source(listener->socket.get(), G_IO_IN, nullptr);
  g_source_set_callback(source, G_SOURCE_FUNC(&Door::on_incoming), listener.get(), nullptr);
  listener->source = g_source_attach(source, nullptr);
  g_source_unref(source);
  listeners_.push_back(std::move(listener));
  return ok;
}

Status Door::add(int fd) {
  GErr err;
  GRef<GSocket> socket = adopt(g_socket_new_from_fd(fd, err));
  if (!socket) return err.as(Code::io, "taking over the socket that listens");
  return listen(std::move(socket));
}

Status Door::add_unix(const std::string& path) {
  HC_TRY(make_dirs(fs::path(path).parent_path()));
  ::unlink(path.c_str());
  GErr err;
  GRef<GSocket> socket =
      adopt(g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, err));
  const GRef<GSocketAddress> address = adopt(g_unix_socket_address_new(path.c_str()));
  if (!socket || !g_socket_bind(socket.get(), address.get(), FALSE, err))
    return err.as(Code::io, "listening on " + path);
  std::error_code error;
  fs::permissions(path, fs::perms{0666}, error);
  return listen(std::move(socket));
}

Status Door::add_tcp(unsigned port) {
  GErr err;
  GRef<GSocket> socket =
      adopt(g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, err));
  const GRef<GSocketAddress> address =
      adopt(g_inet_socket_address_new_from_string("127.0.0.1", static_cast<guint16>(port)));
  if (!socket || !g_socket_bind(socket.get(), address.get(), TRUE, err))
    return err.as(Code::io, "listening on 127.0.0.1:" + std::to_string(port));
  return listen(std::move(socket));
}

gboolean Door::on_incoming(GSocket*, GIOCondition, gpointer data) {
  auto& listener = *static_cast<Listener*>(data);
  constexpr int kAtOnce = 64;
  for (int i = 0; i < kAtOnce; ++i)
    if (!listener.door->accept(listener)) break;
  return G_SOURCE_CONTINUE;
}

bool Door::accept(Listener& listener) {
  const GRef<GSocket> socket = adopt(g_socket_accept(listener.socket.get(), nullptr, nullptr));
  if (!socket) return false;
  if (*listener.open >= kMostOpen) return true;  // closed with its last reference
  const GRef<GSocketConnection> stream = adopt(g_socket_connection_factory_create_connection(socket.get()));
  // The address is an object of this connection's own, on which its messages find it again.
  const GRef<GSocketAddress> address = adopt(g_unix_socket_address_new("client"));
  auto* connection = new Connection(stream.get(), caller_on(socket.get(), listener.local));
  g_object_set_data_full(G_OBJECT(address.get()), kKey, connection, &forget);
  ++*listener.open;
  g_object_weak_ref(
      G_OBJECT(stream.get()),
      [](gpointer open, GObject*) {
        const std::unique_ptr<std::shared_ptr<unsigned>> count(static_cast<std::shared_ptr<unsigned>*>(open));
        --**count;
      },
      new std::shared_ptr<unsigned>(listener.open));
  if (!soup_server_accept_iostream(server_.get(), G_IO_STREAM(stream.get()), address.get(), address.get(), nullptr))
    connection->cut();
  return true;
}

}  // namespace hc
