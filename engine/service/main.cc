#include <glib-unix.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "engine/base/describe.h"
#include "engine/base/log.h"
#include "engine/base/terminal.h"
#include "engine/service/http_server.h"
#include "engine/service/supervisor.h"

// honeycombd: the queue and the local API of a node. It never touches a slot: the worker does.
namespace hc {
namespace {

struct Options {
  fs::path sysroot = "/";
  std::string socket;    // empty: below the sysroot
  unsigned port = 5000;  // 0: none
  bool openapi = false;
};

Status open_doors(Door& door, const Options& options) {
  const int handed = sd_listen_fds(1);
  for (int i = 0; i < handed; ++i) HC_TRY(door.add(SD_LISTEN_FDS_START + i));
  if (handed > 0) return ok;
  const fs::path socket =
      options.socket.empty() ? options.sysroot / "run/honeycomb/honeycombd.sock" : fs::path(options.socket);
  HC_TRY(door.add_unix(socket.string()));
  return options.port == 0 ? Status(ok) : door.add_tcp(options.port);
}

// Tells systemd that we are well as long as the main loop turns.
void keep_watchdog_calm() {
  std::uint64_t us = 0;
  if (sd_watchdog_enabled(0, &us) <= 0) return;
  g_timeout_add(
      static_cast<guint>(us / 3000),
      [](gpointer) -> gboolean {
        sd_notify(0, "WATCHDOG=1");
        return G_SOURCE_CONTINUE;
      },
      nullptr);
}

gboolean quit(gpointer loop) {
  g_main_loop_quit(static_cast<GMainLoop*>(loop));
  return G_SOURCE_REMOVE;
}

Status serve(const Options& options) {
  const Handle<GMainLoop, g_main_loop_unref> loop(g_main_loop_new(nullptr, FALSE));
  g_unix_signal_add(SIGTERM, &quit, loop.get());
  g_unix_signal_add(SIGINT, &quit, loop.get());
  HttpServer* told = nullptr;
  Supervisor supervisor(options.sysroot, [&told] {
    if (told != nullptr) told->tell_streams();
  });
  const Api api(options.sysroot, [&supervisor] { supervisor.wake(); });
  HttpServer server(api);
  told = &server;
  supervisor.begin();
  HC_TRY(open_doors(server.door(), options));
  keep_watchdog_calm();
  sd_notify(0, "READY=1");
  log(Level::info, "honeycombd " HC_VERSION " is ready");
  g_main_loop_run(loop.get());
  sd_notify(0, "STOPPING=1");
  told = nullptr;
  return ok;
}

}  // namespace
}  // namespace hc

// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown here (out of memory) is to end the process
int main(int argc, char** argv) {
  hc::Options options;
  CLI::App app("The service of a Honeycomb node: queue and local API", "honeycombd");
  app.set_version_flag("--version", "honeycombd " HC_VERSION);
  app.add_option("--sysroot", options.sysroot, "The node's root; a folder is a sandbox")->capture_default_str();
  app.add_option("--socket", options.socket, "The unix socket, where systemd hands over none");
  app.add_option("--port", options.port, "The port on 127.0.0.1; 0: none")->capture_default_str();
  app.add_flag("--openapi", options.openapi, "Print the description of the API and end");
  hc::add_descriptions(app, "8");
  CLI11_PARSE(app, argc, argv);
  if (options.openapi) {
    std::fputs(hc::dump_json(hc::openapi()).c_str(), stdout);
    return 0;
  }
  std::error_code error;
  const hc::fs::path canonical = hc::fs::canonical(options.sysroot, error);
  if (!error) options.sysroot = canonical;
  const hc::Status done = hc::serve(options);
  if (done) return 0;
  hc::print_error(done.error(), false);
  return hc::exit_status(done.error().code());
}
