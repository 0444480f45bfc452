#include "json.h"

#include <cstdint>
#include <stdexcept>

namespace tweenrt::native {
namespace {

constexpr int kDeepest = 64;

bool one_of(std::string_view characters, char found) { return characters.find(found) != std::string_view::npos; }

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Json document() {
        Json value = this->value(0);
        skip_space();
        if (at_ != text_.size()) fail("something follows the value");
        return value;
    }

  private:
    Json value(int depth) {
        if (depth > kDeepest) fail("it is nested too deeply");
        skip_space();
        switch (peek()) {
            case '{':
                return object(depth);
            case '[':
                return list(depth);
            case '"':
                return of_text(Json::Type::kText, string());
            case 't':
                return word("true", Json::Type::kBool, true);
            case 'f':
                return word("false", Json::Type::kBool, false);
            case 'n':
                return word("null", Json::Type::kNull, false);
            default:
                return of_text(Json::Type::kNumber, number());
        }
    }

    Json object(int depth) {
        Json found;
        found.type = Json::Type::kObject;
        ++at_;
        if (taken('}')) return found;
        do {
            skip_space();
            std::string name = string();
            if (!taken(':')) fail("a colon is missing");
            found.members[std::move(name)] = value(depth + 1);
        } while (taken(','));
        if (!taken('}')) fail("an object does not end");
        return found;
    }

    Json list(int depth) {
        Json found;
        found.type = Json::Type::kList;
        ++at_;
        if (taken(']')) return found;
        do found.items.push_back(value(depth + 1));
        while (taken(','));
        if (!taken(']')) fail("a list does not end");
        return found;
    }

    std::string string() {
        if (peek() != '"') fail("a text is missing");
        std::string found;
        for (++at_; peek() != '"'; ++at_) {
            if (peek() == '\\')
                found += escape();
            else
                found += peek();
        }
        ++at_;
        return found;
    }

    std::string escape() {
        static constexpr std::string_view kMarks = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
        ++at_;
        if (peek() == 'u') return utf8(code_point());
        size_t const mark = kMarks.find(peek());
        if (mark == std::string_view::npos) fail("an unknown escape");
        return {kMeant[mark]};
    }

    // Of \uXXXX, or of two of them that make one.
    uint32_t code_point() {
        uint32_t const first = hex4();
        if (first < 0xd800 || first > 0xdbff) return first;
        if (text_.substr(at_ + 1, 2) != "\\u") fail("half a character");
        at_ += 2;
        uint32_t const second = hex4();
        if (second < 0xdc00 || second > 0xdfff) fail("half a character");
        return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    }

    // The four digits after `u`; ends on the last of them.
    uint32_t hex4() {
        uint32_t code = 0;
        for (int i = 0; i < 4; ++i) {
            ++at_;
            char const c = peek();
            int const digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) fail("an unknown escape");
            code = code * 16 + static_cast<uint32_t>(digit);
        }
        return code;
    }

    static std::string utf8(uint32_t code) {
        auto tail = [&](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
        if (code < 0x80) return {static_cast<char>(code)};
        if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
        if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
        return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
    }

    std::string number() {
        size_t const start = at_;
        while (at_ < text_.size() && one_of("+-.0123456789eEINafinty", text_[at_])) ++at_;
        if (at_ == start) fail("a value is missing");
        return std::string(text_.substr(start, at_ - start));
    }

    Json word(std::string_view spelt, Json::Type type, bool truth) {
        if (text_.substr(at_, spelt.size()) != spelt) fail("an unknown word");
        at_ += spelt.size();
        Json found;
        found.type = type;
        found.truth = truth;
        return found;
    }

    static Json of_text(Json::Type type, std::string text) {
        Json found;
        found.type = type;
        found.text = std::move(text);
        return found;
    }

    bool taken(char wanted) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }

    void skip_space() {
        while (at_ < text_.size() && one_of(" \t\r\n", text_[at_])) ++at_;
    }

    char peek() const {
        if (at_ >= text_.size()) fail("it ends too early");
        return text_[at_];
    }

    [[noreturn]] void fail(char const* why) const {
        throw std::runtime_error(std::string(why) + " at byte " + std::to_string(at_));
    }

    std::string_view text_;
    size_t at_ = 0;
};

}  // namespace

Json const* Json::member(std::string const& name) const {
    auto const found = members.find(name);
    return found == members.end() ? nullptr : &found->second;
}

Json parse_json(std::string_view text) { return Parser(text).document(); }

}  // namespace tweenrt::native
