#include "kernel_cache.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../sha256.h"

namespace tweenrt::native {
namespace {

constexpr char kMagic[] = "TWEENRTT";
constexpr size_t kMagicBytes = 8;
constexpr size_t kPrefixBytes = 40;  // with a SHA-256 of what follows
constexpr size_t kKeyDigits = 24;

std::string variable(char const* name) {
    char const* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// As tweenrt/cache.py finds it. Relative where the environment names nothing.
std::filesystem::path root() {
    if (std::string const chosen = variable("TWEENRT_CACHE"); !chosen.empty()) return chosen;
    if (std::string const caches = variable("XDG_CACHE_HOME"); !caches.empty())
        return std::filesystem::path(caches) / "tweenrt";
    return std::filesystem::path(variable("HOME")) / ".cache" / "tweenrt";
}

std::filesystem::path path_of(std::string const& key) {
    return root() / "kernels" / (key.substr(0, kKeyDigits) + ".cache");
}

std::string prefix(void const* kernels, size_t bytes) {
    Digest const digest = sha256(kernels, bytes);
    return std::string(kMagic, kMagicBytes) + std::string(digest.begin(), digest.end());
}

}  // namespace

std::string read_kernels(std::string const& key) {
    std::ifstream file(path_of(key), std::ios::binary);
    std::string const content{std::istreambuf_iterator<char>(file), {}};
    if (content.size() < kPrefixBytes) return "";
    std::string kernels = content.substr(kPrefixBytes);
    return content.compare(0, kPrefixBytes, prefix(kernels.data(), kernels.size())) == 0 ? kernels : "";
}

void write_kernels(std::string const& key, void const* kernels, size_t bytes) noexcept {
    try {
        std::filesystem::path const target = path_of(key);
        std::filesystem::create_directories(target.parent_path());
        std::filesystem::path const made = target.string() + "." + std::to_string(getpid());
        std::ofstream file(made, std::ios::binary);
        file << prefix(kernels, bytes);
        file.write(static_cast<char const*>(kernels), static_cast<std::streamsize>(bytes));
        file.close();
        std::error_code ignored;
        if (file) std::filesystem::rename(made, target);
        std::filesystem::remove(made, ignored);
    } catch (std::exception const&) {
        return;  // compiling again next time is slower, and nothing else
    }
}

}  // namespace tweenrt::native
