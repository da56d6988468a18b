#pragma once

#include <string>

#include "engine/base/terminal.h"
#include "engine/cli/verbs.h"

namespace hc {

// Tells a person on standard error how a transaction goes: a line for each step, progress while one works, what the
// hooks say.
class Reporter {
 public:
  explicit Reporter(const Session& session) : session_(session), bar_(session.json || session.quiet) {}

  Listener listener();
  // The end of a transaction, on standard output; the exit status.
  int conclude(const Report& report, const Node& node);

 private:
  bool silent() const { return session_.json || session_.quiet; }
  void begins(const Transaction& t, const std::string& step, Direction direction);
  void ended(const Transaction& t, const StepRecord& record);

  const Session& session_;
  ProgressBar bar_;
  bool undoing_ = false;
};

// One sentence for each ending: what runs now and what to do next.
std::string conclusion(const Report& report, const Node& node);

}  // namespace hc
