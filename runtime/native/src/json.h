// Reads JSON (RFC 8259), as much as the headers of engine files need: numbers are kept as text.
#ifndef TWEENRT_NATIVE_JSON_H
#define TWEENRT_NATIVE_JSON_H

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tweenrt::native {

struct Json {
    enum class Type { kNull, kBool, kNumber, kText, kList, kObject };
    Type type = Type::kNull;
    bool truth = false;
    std::string text;  // of a text in UTF-8, or of a number
    std::vector<Json> items;
    std::map<std::string, Json> members;

    // The member `name`; null where there is none or this is no object.
    Json const* member(std::string const& name) const;
};

// Throws std::runtime_error where `text` is no JSON.
Json parse_json(std::string_view text);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_JSON_H
