#include "engine/base/json.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>
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

// Reads `text` and tells how far the lexer has come, which nlohmann does not tell to its SAX handlers.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Walks the events of nlohmann's own lexer and builds the value, so that what it would silently accept is seen.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view text) : text_(text), read_(text.data()) {}

  // Ok: take() has the value; else failure() says what is wrong, and where.
  bool run() {
    const char* const end = text_.data() + text_.size();
    return Json::sax_parse(CountingIterator(text_.data(), &read_), CountingIterator(end, &read_), this);
  }
  void watch(std::string_view key) { watched_ = key; }
  std::size_t watched_at() const { return watched_at_; }

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
    if (open_.size() == 1 && value == watched_) watched_at_ = token_start();
    open_.back().key = std::move(value);
    token_ended();
    return true;
  }
  bool parse_error(std::size_t offset, const std::string& last, const nlohmann::detail::exception& error) override {
    // A range error is found when the number was read to its end, so its own place is where the number starts.
    if (dynamic_cast<const Json::out_of_range*>(&error) != nullptr)
      return refuse("the number " + quote(last) + " is out of range");
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...": our place is enough.
    const std::string what = error.what();
    const std::size_t reason = what.find("syntax error");
    failure_ = position(text_, offset == 0 ? 0 : offset - 1) + ": " +
               printable(reason == std::string::npos ? what : what.substr(reason));
    return false;
  }

  bool refuse(const std::string& why) {
    failure_ = position(text_, token_start()) + ": " + why;
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

  // Between the end of one token and the start of the next stand only these.
  std::size_t token_start() const { return std::min(text_.find_first_not_of(" \t\r\n,:", ended_), text_.size()); }
  void token_ended() { ended_ = static_cast<std::size_t>(read_ - text_.data()); }

  bool open(Json value) {
    constexpr std::size_t kDeepest = 32;
    if (open_.size() >= kDeepest) return refuse("nested deeper than " + std::to_string(kDeepest));
    open_.push_back({std::move(value), {}, {}});
    token_ended();
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
    token_ended();
    return true;
  }

  std::string_view text_;
  const char* read_;       // how far the lexer has come
  std::size_t ended_ = 0;  // where the last token ended; after a number, one character more
  std::string_view watched_;
  std::size_t watched_at_ = 0;
  std::vector<Level> open_;
  Json root_;
  std::string failure_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::size_t limit) {
  if (text.size() > limit)
    return Error(Code::invalid, "line 1, column 1 (byte 0): the JSON has " + std::to_string(text.size()) +
                                    " bytes; at most " + std::to_string(limit) + " are allowed");
  if (text.starts_with("\xef\xbb\xbf"))
    return Error(Code::invalid, "line 1, column 1 (byte 0): a byte-order mark stands before the JSON");
  // nlohmann's lexer takes a NUL byte for the end: what follows would go unread.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return Error(Code::invalid, position(text, nul) + ": a NUL byte stands in the JSON");
  Builder builder(text);
  if (!builder.run()) return Error(Code::invalid, builder.failure());
  return builder.take();
}

std::string place_of_key(std::string_view text, std::string_view key) {
  Builder builder(text);
  builder.watch(key);
  const bool valid = builder.run();
  assert(valid);
  static_cast<void>(valid);
  return position(text, builder.watched_at());
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hc
