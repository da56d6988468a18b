#include "tests/crash/disk_states.h"

#include <algorithm>
#include <functional>
#include <random>
#include <set>

namespace hc {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kMostRandom = 12;  // for each epoch

std::uint64_t hash_of_page(std::size_t number, std::string_view page) {
  return std::hash<std::string_view>{}(page)*0x9e3779b97f4a7c15U ^ std::hash<std::size_t>{}(number * 2654435761U + 1);
}

std::string_view page_of(const std::string& disk, std::size_t number) {
  return std::string_view(disk).substr(number * kDiskPage, kDiskPage);
}

// What one epoch wrote, and every state that it may leave.
class Epoch {
 public:
  Epoch(const Recording& recording, std::size_t number, std::vector<std::size_t> writes, std::string told)
      : recording_(recording), number_(number), writes_(std::move(writes)), told_(std::move(told)) {}

  void add_to(std::vector<DiskState>& states, std::mt19937& random) const {
    add(states, "boundary", {});
    for (std::size_t count = 1; count <= writes_.size(); ++count) {
      const std::vector<bool> before = first(count - 1);
      add(states, "prefix", pieces(first(count)));
      for (const std::size_t size : torn_sizes(count - 1)) {
        std::vector<Piece> torn = pieces(before);
        torn.push_back({writes_[count - 1], size});
        add(states, "torn", std::move(torn));
      }
    }
    for (std::size_t one = 0; one < writes_.size(); ++one) {
      std::vector<bool> all(writes_.size(), true);
      all[one] = false;
      add(states, "dropped", pieces(all));
      add(states, "reordered", {{writes_[one], size_of(one)}});
    }
    for (std::size_t i = 0; i < std::min(kMostRandom, writes_.size()); ++i) {
      std::vector<bool> some(writes_.size());
      for (std::size_t one = 0; one < some.size(); ++one) some[one] = random() % 2 == 0;
      add(states, "random", pieces(some));
    }
  }

 private:
  std::size_t size_of(std::size_t one) const { return recording_.events[writes_[one]].data.size(); }
  std::vector<bool> first(std::size_t count) const {
    std::vector<bool> chosen(writes_.size());
    std::fill(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(count), true);
    return chosen;
  }
  std::vector<Piece> pieces(const std::vector<bool>& chosen) const {
    std::vector<Piece> list;
    for (std::size_t one = 0; one < writes_.size(); ++one)
      if (chosen[one]) list.push_back({writes_[one], size_of(one)});
    return list;
  }
  std::set<std::size_t> torn_sizes(std::size_t one) const {
    const std::size_t size = size_of(one);
    if (size <= kSector) return {};
    const std::size_t half = std::max(kSector, size / 2 / kSector * kSector);
    return {kSector, half, size - kSector};
  }
  void add(std::vector<DiskState>& states, std::string_view kind, std::vector<Piece> pieces) const {
    states.push_back({number_, kind, std::move(pieces), told_});
  }

  const Recording& recording_;
  std::size_t number_;
  std::vector<std::size_t> writes_;
  std::string told_;
};

std::vector<Epoch> epochs_of(const Recording& recording) {
  std::vector<Epoch> epochs;
  std::vector<std::size_t> writes;
  std::string told;
  for (std::size_t i = 0; i < recording.events.size(); ++i) {
    const DiskEvent& event = recording.events[i];
    if (event.kind == DiskEvent::Kind::write) writes.push_back(i);
    if (event.kind == DiskEvent::Kind::mark) told = event.mark;
    if (event.kind == DiskEvent::Kind::flush)
      epochs.emplace_back(recording, epochs.size(), std::exchange(writes, {}), told);
  }
  epochs.emplace_back(recording, epochs.size(), std::move(writes), told);
  return epochs;
}

// Boundaries stay; of the others an even share of every kind.
void cut_down(std::vector<DiskState>& states, std::size_t most, std::mt19937& random) {
  if (states.size() <= most) return;
  std::vector<std::size_t> order(states.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  std::stable_partition(order.begin(), order.end(), [&](std::size_t i) { return states[i].kind == "boundary"; });
  order.resize(most);
  std::sort(order.begin(), order.end());
  std::vector<DiskState> chosen;
  for (const std::size_t i : order) chosen.push_back(std::move(states[i]));
  states = std::move(chosen);
}

}  // namespace

std::vector<std::size_t> DiskBase::advance_to(std::size_t epoch) {
  std::set<std::size_t> changed;
  for (; epoch_ < epoch && next_ < recording_.events.size(); ++next_) {
    const DiskEvent& event = recording_.events[next_];
    if (event.kind == DiskEvent::Kind::flush) ++epoch_;
    if (event.kind != DiskEvent::Kind::write || event.data.empty()) continue;
    disk_.replace(event.offset, event.data.size(), event.data);
    for (std::size_t page = event.offset / kDiskPage; page <= (event.offset + event.data.size() - 1) / kDiskPage;
         ++page)
      changed.insert(page);
  }
  return {changed.begin(), changed.end()};
}

DiskPages DiskBase::pages_of(const DiskState& state) const {
  DiskPages pages;
  for (const Piece& piece : state.pieces) {
    const DiskEvent& event = recording_.events[piece.event];
    for (std::size_t done = 0; done < piece.size;) {
      const std::size_t at = event.offset + done;
      const std::size_t number = at / kDiskPage;
      const std::size_t count = std::min(piece.size - done, kDiskPage - at % kDiskPage);
      auto page = pages.find(number);
      if (page == pages.end()) page = pages.emplace(number, page_of(disk_, number)).first;
      page->second.replace(at % kDiskPage, count, event.data, done, count);
      done += count;
    }
  }
  return pages;
}

StatePlan plan_states(const Recording& recording, std::size_t most, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<DiskState> all;
  const std::vector<Epoch> epochs = epochs_of(recording);
  for (const Epoch& epoch : epochs) epoch.add_to(all, random);

  StatePlan plan;
  plan.epochs = epochs.size();
  DiskBase base(recording);
  std::uint64_t base_hash = 0;
  std::vector<std::uint64_t> hashes;
  for (std::size_t page = 0; page * kDiskPage < base.disk().size(); ++page) {
    hashes.push_back(hash_of_page(page, page_of(base.disk(), page)));
    base_hash ^= hashes.back();
  }
  std::set<std::pair<std::uint64_t, std::string>> seen;
  for (DiskState& state : all) {
    for (const std::size_t page : base.advance_to(state.epoch)) {
      base_hash ^= hashes[page];
      hashes[page] = hash_of_page(page, page_of(base.disk(), page));
      base_hash ^= hashes[page];
    }
    std::uint64_t hash = base_hash;
    for (const auto& [page, content] : base.pages_of(state)) hash ^= hashes[page] ^ hash_of_page(page, content);
    if (seen.emplace(hash, state.told).second) plan.states.push_back(std::move(state));
  }
  plan.possible = plan.states.size();
  cut_down(plan.states, most, random);
  return plan;
}

}  // namespace hc
