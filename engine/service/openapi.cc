#include <algorithm>

#include "engine/base/text.h"
#include "engine/service/api.h"

namespace hc {
namespace {

Json parameters(std::string_view path) {
  Json list = Json::array();
  for (const std::string& part : split(path, '/'))
    if (part.starts_with('{'))
      list.push_back({{"name", part.substr(1, part.size() - 2)},
                      {"in", "path"},
                      {"required", true},
                      {"schema", {{"type", "string"}}}});
  return list;
}

Json answers(const Route& route) {
  const bool changes = route.right == Right::change;
  const bool events = route.path.ends_with("/events");
  const bool text = route.path == "/metrics";
  const char* type = events ? "text/event-stream" : (text ? "text/plain" : "application/json");
  Json json = {{changes ? "202" : "200", {{"description", "done"}, {"content", {{type, Json::object()}}}}}};
  json["default"] = {
      {"description", "what went wrong"},
      {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
  return json;
}

}  // namespace

Json openapi() {
  Json paths = Json::object();
  for (const Route& route : routes()) {
    std::string method(route.method);
    std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::tolower(c); });
    Json operation = {{"summary", route.summary}, {"responses", answers(route)}};
    operation["x-right"] = route.right == Right::change ? "change" : "read";
    operation["x-tcp"] = route.everywhere;
    if (const Json list = parameters(route.path); !list.empty()) operation["parameters"] = list;
    paths[std::string(route.path)][method] = std::move(operation);
  }
  const Json problem = {{"type", "object"},
                        {"required", {"title", "status", "code"}},
                        {"properties",
                         {{"type", {{"type", "string"}}},
                          {"title", {{"type", "string"}}},
                          {"status", {{"type", "integer"}}},
                          {"code", {{"type", "string"}}},
                          {"detail", {{"type", "string"}}}}}};
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "honeycombd: the service of one node"}, {"version", "1"}}},
          {"paths", std::move(paths)},
          {"components", {{"schemas", {{"Problem", problem}}}}}};
}

}  // namespace hc
