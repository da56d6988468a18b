#pragma once

#include <functional>
#include <string>

#include "engine/upgrade/machine.h"
#include "engine/upgrade/upgrader.h"

// What a Listener is told, as JSON: so that a transaction which runs in one process can be followed from another with
// the same words.
namespace hc {

// `event` is one of begins, ended, progress, insight, line; `data` an object.
using TellFn = std::function<void(const std::string& event, Json data)>;
Listener told_as_json(const TellFn& tell);

// Tells `listener` what told_as_json() made an object of. What this engine does not know is passed over.
void retell(const std::string& event, const Json& data, const Listener& listener);

Json to_json(const Report& report);
Result<Report> report_from(const Json& json);

Json to_json(const Error& error);
Error error_from(const Json& json);

}  // namespace hc
