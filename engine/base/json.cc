#include "engine/base/json.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "engine/base/text.h"

namespace hc {
namespace {

using Parsed = Json::parse_event_t;

std::string position(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t start = before.rfind('\n');
  const std::size_t column = start == std::string_view::npos ? offset + 1 : offset - start;
  return "line " + std::to_string(line) + ", column " + std::to_string(column) + " (byte " + std::to_string(offset) +
         ")";
}

// Walks the events of nlohmann's own lexer and builds the value, so that what it would silently accept is seen.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& written) override {
    if (!std::isfinite(value) || written.find_first_of(".eE") == string_t::npos)
      return refuse("the number " + quote(written) + " is out of range");
    return put(value);
  }
  bool string(string_t& value) override {
    if (value.find('\0') != string_t::npos) return refuse("a string holds a NUL character");
    return put(std::move(value));
  }
  bool binary(binary_t& /*value*/) override { return refuse("binary value"); }
  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    if (value.find('\0') != string_t::npos) return refuse("a key holds a NUL character");
    if (!open_.back().keys.insert(value).second) return refuse("the key " + quote(value) + " stands twice");
    open_.back().key = std::move(value);
    return true;
  }
  bool parse_error(std::size_t offset, const std::string& /*last*/, const nlohmann::detail::exception& error) override {
    // nlohmann counts from one and says what it expected after the last colon-separated part.
    const std::string what = error.what();
    const std::size_t at = what.find("; ");
    const std::size_t syntax = what.find("syntax error ");
    std::string reason =
        syntax == std::string::npos ? (at == std::string::npos ? what : what.substr(at + 2)) : what.substr(syntax);
    failure_ = position(text_, offset == 0 ? 0 : offset - 1) + ": " + printable(reason);
    return false;
  }

  bool refuse(const std::string& why) {
    failure_ = why;
    return false;
  }
  std::string& failure() { return failure_; }
  Json take() { return std::move(root_); }

 private:
  struct Level {
    Json value;
    std::string key;
    std::set<std::string> keys;
  };

  bool open(Json value) {
    constexpr std::size_t kDeepest = 32;
    if (open_.size() >= kDeepest) return refuse("nested deeper than " + std::to_string(kDeepest));
    open_.push_back({std::move(value), {}, {}});
    return true;
  }
  bool close() {
    Json done = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(done));
  }
  bool put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Level& level = open_.back(); level.value.is_array()) {
      level.value.push_back(std::move(value));
    } else {
      level.value[level.key] = std::move(value);
    }
    return true;
  }

  std::string_view text_;
  std::vector<Level> open_;
  Json root_;
  std::string failure_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::size_t limit) {
  if (text.size() > limit)
    return Error(Code::invalid,
                 "JSON of " + std::to_string(text.size()) + " bytes; " + std::to_string(limit) + " are allowed");
  if (text.starts_with("\xef\xbb\xbf"))
    return Error(Code::invalid, "line 1, column 1 (byte 0): a byte-order mark stands before the JSON");
  Builder builder(text);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return Error(Code::invalid, builder.failure());
  return builder.take();
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hc
