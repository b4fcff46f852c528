# Applies BPF_SANITIZE to everything that is built. Sanitized code must be sanitized throughout, so
# this is a property of the build directory and not of a target.
if(BPF_SANITIZE)
  add_compile_options(-fsanitize=${BPF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BPF_SANITIZE})
endif()
