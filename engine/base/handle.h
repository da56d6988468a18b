#pragma once

#include <gio/gio.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/result.h"

// Owners for the objects of C libraries. One line per foreign type, beside its use:
//   using PublicKey = Handle<EVP_PKEY, EVP_PKEY_free>;
namespace hc {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
template <typename T, auto Free>
using Handle = std::unique_ptr<T, Freed<Free>>;

using GText = Handle<char, g_free>;
using Variant = Handle<GVariant, g_variant_unref>;
using Bytes = Handle<GBytes, g_bytes_unref>;
using KeyFile = Handle<GKeyFile, g_key_file_unref>;

// One reference to a GObject.
template <typename T>
class GRef {
 public:
  GRef() = default;
  GRef(const GRef& other) : object_(other.object_) {
    if (object_) g_object_ref(object_);
  }
  GRef(GRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  GRef& operator=(GRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~GRef() {
    if (object_) g_object_unref(object_);
  }

  T* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  template <typename U>
  friend GRef<U> adopt(U* object);
  template <typename U>
  friend U** out(GRef<U>& place);

  T* object_ = nullptr;
};

// Takes over the reference that a "(transfer full)" call returned.
template <typename T>
GRef<T> adopt(T* object) {
  GRef<T> ref;
  ref.object_ = object;
  return ref;
}

// Adds a reference to what a "(transfer none)" call returned.
template <typename T>
GRef<T> retain(T* object) {
  if (object) g_object_ref(object);
  return adopt(object);
}

// The address that an "(out) (transfer full)" parameter writes to. REQUIRES: `place` is empty.
template <typename T>
T** out(GRef<T>& place) {
  return &place.object_;
}

// The same for a type held by Handle.
template <typename T, typename D>
class OutHandle {
 public:
  explicit OutHandle(std::unique_ptr<T, D>& place) : place_(place) {}
  ~OutHandle() { place_.reset(pointer_); }
  OutHandle(const OutHandle&) = delete;
  OutHandle& operator=(const OutHandle&) = delete;
  operator T**() { return &pointer_; }  // NOLINT(google-explicit-constructor)

 private:
  std::unique_ptr<T, D>& place_;
  T* pointer_ = nullptr;
};
template <typename T, typename D>
OutHandle<T, D> out(std::unique_ptr<T, D>& place) {
  return OutHandle<T, D>(place);
}

// Receives the GError of one call: pass it where GError** is wanted, then ask as().
class GErr {
 public:
  GErr() = default;
  GErr(const GErr&) = delete;
  GErr& operator=(const GErr&) = delete;
  ~GErr() { g_clear_error(&error_); }

  operator GError**() { return &error_; }  // NOLINT(google-explicit-constructor)
  bool matches(GQuark domain, int code) const { return g_error_matches(error_, domain, code); }
  std::string_view text() const { return error_ ? error_->message : "no reason given"; }

  // The failure in our words. G_IO_ERROR_NO_SPACE and G_IO_ERROR_CANCELLED keep their own codes.
  Error as(Code code, std::string_view what) const;

 private:
  GError* error_ = nullptr;
};

}  // namespace hc
