# Debian's Emscripten (3.1.6), or the one that EMSDK names. Its cache is frozen and has all that we
# use; NODE_PATH (set by the preset) lets its optimizer find Debian's acorn under any node.
if(DEFINED ENV{EMSDK})
  include("$ENV{EMSDK}/upstream/emscripten/cmake/Modules/Platform/Emscripten.cmake")
else()
  include(/usr/share/emscripten/cmake/Modules/Platform/Emscripten.cmake)
endif()
