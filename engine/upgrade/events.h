#pragma once

#include "engine/base/log.h"

// The events that operators count, with ids that never change. docs/operations.md lists them.
namespace hc {

inline constexpr EventId kBegun{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a11", "transaction-begun"};
inline constexpr EventId kStepEnded{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a12", "step-ended"};
inline constexpr EventId kSwitched{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a16", "switched"};
inline constexpr EventId kConfirmed{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a13", "confirmed"};
inline constexpr EventId kRolledBack{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a14", "rolled-back"};
inline constexpr EventId kDegraded{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a17", "degraded"};
inline constexpr EventId kEnded{"8f1c2d5be0a74c3f9a5b6f3e1c0d7a15", "ended"};

}  // namespace hc
