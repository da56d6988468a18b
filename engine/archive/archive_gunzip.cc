#include "engine/archive/archive_gunzip.h"

#include <gio/gio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "engine/archive/archive_io.h"
#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::string_view kMagic = "\x1f\x8b";
constexpr std::uint64_t kUnsuspicious = 64 << 20;  // so much may come out of anything
constexpr std::uint64_t kMostRatio = 200;

// Reads ahead a block at a time and knows where it is.
class Input {
 public:
  explicit Input(int fd) : fd_(fd) {}

  Status fill() {
    if (begin_ > 0) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    while (!at_end_ && end_ < buffer_.size()) {
      const ssize_t got = ::read(fd_, buffer_.data() + end_, buffer_.size() - end_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno(errno, "reading the archive");
      at_end_ = got == 0;
      end_ += static_cast<std::size_t>(got);
    }
    return ok;
  }
  void take(std::size_t size) {
    begin_ += size;
    offset_ += size;
  }
  std::string_view view() const { return {buffer_.data() + begin_, end_ - begin_}; }
  bool at_end() const { return at_end_; }
  std::uint64_t offset() const { return offset_; }

 private:
  int fd_;
  std::array<char, 128 << 10> buffer_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::uint64_t offset_ = 0;
};

Status check_growth(std::uint64_t in, std::uint64_t out, std::uint64_t limit) {
  if (out > limit) return archive_error(in, "unpacks to more than the " + human_bytes(limit) + " allowed");
  if (out > kUnsuspicious && out / kMostRatio > in)
    return archive_error(in, "unpacks to more than " + std::to_string(kMostRatio) +
                                 " times its size: it was made to fill the disk of whoever opens it");
  return ok;
}

// What libz says about the bytes at hand; `taken` and `made` are set in any case.
enum class Step { more, starved, finished, damaged };
Step convert(GConverter* converter, const Input& input, std::array<char, 256 << 10>& output, std::size_t& taken,
             std::size_t& made) {
  const std::string_view bytes = input.view();
  gsize read = 0;
  gsize written = 0;
  GErr err;
  const GConverterResult result =
      g_converter_convert(converter, bytes.data(), bytes.size(), output.data(), output.size(),
                          input.at_end() ? G_CONVERTER_INPUT_AT_END : G_CONVERTER_NO_FLAGS, &read, &written, err);
  taken = read;
  made = written;
  if (result == G_CONVERTER_FINISHED) return Step::finished;
  if (result != G_CONVERTER_ERROR) return Step::more;
  return err.matches(G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT) ? Step::starved : Step::damaged;
}

// One member of the gzip file, at whose begin `input` is.
Status gunzip_member(Input& input, int out, std::uint64_t limit, std::uint64_t& total) {
  const GRef<GConverter> converter = adopt(G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP)));
  static std::array<char, 256 << 10> output;
  for (;;) {
    HC_TRY(input.fill());
    std::size_t taken = 0;
    std::size_t made = 0;
    const Step step = input.view().empty() ? Step::starved : convert(converter.get(), input, output, taken, made);
    input.take(taken);
    total += made;
    HC_TRY(check_growth(input.offset(), total, limit));
    HC_TRY(write_content(out, {output.data(), made}));
    if (step == Step::finished) return ok;
    if (step == Step::damaged)
      return archive_error(input.offset(),
                           "is damaged behind this point: it is no gzip, or does not match its checksum");
    if (step == Step::starved && input.at_end()) return archive_cut(input.offset() + input.view().size());
  }
}

}  // namespace

Result<bool> is_gzip(int file) {
  std::array<char, 2> magic{};
  const ssize_t got = ::pread(file, magic.data(), magic.size(), 0);
  if (got < 0) return Error::from_errno(errno, "reading the archive");
  return std::string_view(magic.data(), static_cast<std::size_t>(got)) == kMagic;
}

Status gunzip(int file, int out, std::uint64_t limit) {
  Input input(file);
  std::uint64_t total = 0;
  do {
    HC_TRY(gunzip_member(input, out, limit, total));
    HC_TRY(input.fill());
    if (!input.view().empty() && !input.view().starts_with(kMagic))
      return archive_error(input.offset(), "goes on after its end");
  } while (!input.view().empty());
  return ok;
}

}  // namespace hc
