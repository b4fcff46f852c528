/* btf_write.c - the BTF model to the bytes of .BTF, in its byte order.
 * Sources: btf.rst (encoding), libbpf's expectations of the header. */
#include "btf.h"

enum { MAGIC = 0xeb9f, HEADER = 24 };

void eb_btf_write(const eb_btf *btf, eb_buf *out) {
    if (btf->input) {
        eb_buf_put(out, btf->input, btf->input_size);
        return;
    }
    uint8_t *header = eb_buf_room(out, HEADER);
    eb_set16(header, btf->big, MAGIC);
    header[2] = 1; /* version; no flags */
    eb_set32(header + 4, btf->big, HEADER);
    eb_set32(header + 12, btf->big, (uint32_t)btf->types_size); /* type_len, at offset 0 */
    eb_set32(header + 16, btf->big, (uint32_t)btf->types_size); /* str_off */
    eb_set32(header + 20, btf->big, (uint32_t)btf->strings_size);
    eb_buf_put(out, btf->types, btf->types_size);
    eb_buf_put(out, btf->strings, btf->strings_size);
}
