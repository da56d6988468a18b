#include "engine/base/stop.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>

namespace hc {

struct StopOnSignal::Waiter {
  sigset_t signals{};
  std::atomic<bool> ending{false};
  std::thread thread;
};

StopOnSignal::StopOnSignal() : waiter_(std::make_unique<Waiter>()) {
  sigemptyset(&waiter_->signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&waiter_->signals, signal);
  pthread_sigmask(SIG_BLOCK, &waiter_->signals, nullptr);
  waiter_->thread = std::thread([waiter = waiter_.get(), token = token_] {
    int signal = 0;
    while (sigwait(&waiter->signals, &signal) == 0 && !waiter->ending) token.request();
  });
}

StopOnSignal::~StopOnSignal() {
  waiter_->ending = true;
  pthread_kill(waiter_->thread.native_handle(), SIGTERM);
  waiter_->thread.join();
}

}  // namespace hc
