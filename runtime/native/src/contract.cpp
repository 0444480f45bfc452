#include "contract.h"

#include <cstdlib>
#include <map>

#include "report.h"

namespace tweenrt::native {
namespace {

template <class Value>
using Names = std::map<std::string, Value>;

Names<Kind> const& kinds() {
    static Names<Kind> const names{{"pair", Kind::kPair},
                                   {"encoder", Kind::kEncoder},
                                   {"synthesis", Kind::kSynthesis},
                                   {"flow", Kind::kFlow},
                                   {"refine", Kind::kRefine}};
    return names;
}

Names<TimeInput> const kTimes{{"input", TimeInput::kInput}, {"fixed:0.5", TimeInput::kFixed}, {"map", TimeInput::kMap}};
Names<FrameIo> const kIo{{"float", FrameIo::kFloat}, {"uint8", FrameIo::kUint8}};
Names<Reuse> const kReuse{{"", Reuse::kNone}, {"none", Reuse::kNone}, {"frame", Reuse::kFrame}, {"pair", Reuse::kPair}};
Names<Padding> const kPadding{{"zeros:bottom-right", {Fill::kZeros, false}},
                              {"replicate:centred", {Fill::kReplicate, true}},
                              {"reflect:centred", {Fill::kReflect, true}},
                              {"reflect:bottom-right", {Fill::kReflect, false}}};

class Reader {
  public:
    Reader(Properties const& properties, std::string const& where) : properties_(properties), where_(where) {
        if (properties("tweenrt.model") == nullptr && properties("tweenrt.kind") == nullptr)
            throw Fault(TWEENRT_STATUS_NOT_OURS,
                        where +
                            ": expected a graph written by tweenrt, found none of its metadata; make one with "
                            "`tweenrt export MODEL -o FILE`");
    }
    std::string optional(char const* name) const {
        char const* value = properties_(("tweenrt." + std::string(name)).c_str());
        return value == nullptr ? "" : value;
    }
    std::string text(char const* name) const {
        std::string value = optional(name);
        if (value.empty()) throw refused(name, value);
        return value;
    }
    int32_t number(char const* name, int32_t least, int32_t most) const {
        std::string const value = text(name);
        char* end = nullptr;
        long const found = std::strtol(value.c_str(), &end, 10);
        if (*end != '\0' || found < least || found > most) throw refused(name, value);
        return static_cast<int32_t>(found);
    }
    template <class Value>
    Value one_of(Names<Value> const& names, char const* name) const {
        std::string const value = optional(name);
        auto const found = names.find(value);
        if (found == names.end()) throw refused(name, value);
        return found->second;
    }

  private:
    Fault refused(char const* name, std::string const& value) const {
        return Fault(TWEENRT_STATUS_DAMAGED, where_ + ": its tweenrt metadata is incomplete or from another version (" +
                                                 name + " is '" + value +
                                                 "'); export the graph again with this version");
    }
    Properties const& properties_;
    std::string const& where_;
};

}  // namespace

char const* name_of(Kind kind) {
    for (auto const& [name, value] : kinds())
        if (value == kind) return name.c_str();
    return "";
}

std::pair<int32_t, int32_t> Padding::amounts(int32_t size, int32_t divisor) const {
    int32_t const padded = (size + divisor - 1) / divisor * divisor;
    int32_t const before = centred ? (padded + size) / 2 - size : 0;
    return {before, padded - size - before};
}

Contract read_contract(Properties const& properties, std::string const& where) {
    constexpr int32_t kLargestDivisor = 4096;
    Reader const reader(properties, where);
    Contract contract;
    contract.model = reader.text("model");
    contract.precision = reader.text("precision");
    contract.pair_id = reader.optional("pair_id");
    contract.kind = reader.one_of(kinds(), "kind");
    contract.divisor = reader.number("divisor", 1, kLargestDivisor);
    contract.padding = reader.one_of(kPadding, "padding");
    contract.time = reader.one_of(kTimes, "t");
    contract.frames = reader.number("frames", 2, 4);
    contract.io = reader.one_of(kIo, "io");
    contract.reuse = reader.one_of(kReuse, "reuse");
    return contract;
}

}  // namespace tweenrt::native
