// Where yoke's programs (yoked, yoke-worker, yoke-compile) lie, for those that start them.
//
// They are found beside each other, so that a build folder, an unpacked archive and an installed package all work
// without configuration. PATH is not searched: what is started here receives the account's trust.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke {

// Absolute path of the program `name`. Looked for in $YOKE_LIBEXEC_DIR, the folder of the running program, the folder
// of the file this code was loaded from (a program or libyoke.so), its ../bin, its yoke and ../yoke (lib/yoke beside
// lib/libyoke.so or lib/TRIPLET/libyoke.so), /usr/lib/yoke and /usr/libexec/yoke. ENOENT lists where it looked; EINVAL:
// `name` is no plain file name.
Result<std::string> find_program(std::string_view name);

}  // namespace yoke
