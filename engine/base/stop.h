#pragma once

#include "engine/base/handle.h"

namespace hc {

// Asks long work to stop. Copies share one state; safe from any thread. libostree takes cancellable() as it is.
class StopToken {
 public:
  StopToken() : cancellable_(adopt(g_cancellable_new())) {}

  void request() const { g_cancellable_cancel(cancellable_.get()); }
  bool requested() const { return g_cancellable_is_cancelled(cancellable_.get()) != 0; }
  GCancellable* cancellable() const { return cancellable_.get(); }

 private:
  GRef<GCancellable> cancellable_;
};

// While it lives, SIGINT, SIGTERM and SIGHUP request a stop instead of ending the process. Make one, first thing in
// main(), before any other thread exists; children started by Process do not inherit the mask.
class StopOnSignal {
 public:
  StopOnSignal();
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

  const StopToken& token() const { return token_; }

 private:
  struct Waiter;
  StopToken token_;
  std::unique_ptr<Waiter> waiter_;
};

}  // namespace hc
