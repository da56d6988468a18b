#include "engine/store/ostree.h"
#include "engine/store/repository.h"

namespace hc {

Status Repository::pull(const std::string& url, const VerifiedPayload& payload, const PullLimits& limits,
                        const ProgressFn& progress, const StopToken& stop) {
  (void)limits;
  (void)progress;
  const GText local(url.starts_with("/") ? g_filename_to_uri(url.c_str(), nullptr, nullptr) : nullptr);
  const char* refs[] = {payload.commit().hex().c_str(), nullptr};
  GVariantDict dict;
  g_variant_dict_init(&dict, nullptr);
  g_variant_dict_insert_value(&dict, "refs", g_variant_new_strv(refs, -1));
  g_variant_dict_insert(&dict, "flags", "i", static_cast<int>(OSTREE_REPO_PULL_FLAGS_UNTRUSTED));
  g_variant_dict_insert(&dict, "gpg-verify", "b", FALSE);
  g_variant_dict_insert(&dict, "gpg-verify-summary", "b", FALSE);
  g_variant_dict_insert(&dict, "disable-static-deltas", "b", TRUE);
  g_variant_dict_insert(&dict, "override-url", "s", local ? local.get() : url.c_str());
  const Variant options(g_variant_ref_sink(g_variant_dict_end(&dict)));
  GErr err;
  if (!ostree_repo_pull_with_options(repo_.get(), "file:///", options.get(), nullptr, stop.cancellable(), err))
    return err.as(Code::unavailable, "fetching from " + url);
  return ok;
}

}  // namespace hc
