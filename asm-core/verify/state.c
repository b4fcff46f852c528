/* state.c - registers and stack slots as the verifier writes them.
 *
 * "R1_w=map_value(id=2,off=8,map=counts,ks=4,vs=16) fp-8=00000000 fp-16_r=iter_num(ref_id=1,...)":
 * a name, marks, and behind the = a constant, or a type with what is known in brackets. Bounds that
 * are equal stand in a chain: smin=smin32=0. Before Linux 6.0 a scalar is "inv", before 5.16 bounds
 * are called umin_value. Source: kernel/bpf/log.c, print_verifier_state. */
#include "log.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static eb_str behind(eb_str text, size_t count) {
    return (eb_str){text.at + count, text.len - count};
}

static int hex_of(char c) {
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* -5, 0x1f or 18446744073709551615; false where no number starts. */
static bool take_number(eb_str *text, uint64_t *value) {
    bool minus = text->len && text->at[0] == '-';
    eb_str left = behind(*text, minus || (text->len && text->at[0] == '+'));
    bool hex = eb_str_starts(left, "0x");
    uint64_t sum = 0;
    size_t n = hex ? 2 : 0, start = n;
    for (; n < left.len; n++) {
        int digit = hex_of(left.at[n]);
        if (digit < 0 || (!hex && digit > 9))
            break;
        sum = sum * (hex ? 16 : 10) + (uint64_t)digit;
    }
    if (n == start)
        return false;
    *value = minus ? 0 - sum : sum;
    *text = behind(left, n);
    return true;
}

/* The word up to a space, brackets closed. */
static eb_str take_word(eb_str *text) {
    size_t n = 0, depth = 0;
    for (; n < text->len && (depth || text->at[n] != ' '); n++) {
        depth += text->at[n] == '(';
        depth -= depth && text->at[n] == ')';
    }
    eb_str word = {text->at, n};
    *text = behind(*text, n);
    return word;
}

static void set_fact(ebpf_log_value *value, eb_str key, eb_str fact) {
    struct {
        const char *name, *older;
        void *to;
        size_t size;
    } facts[] = {{"id", "id", &value->id, 4},
                 {"ref_obj_id", "ref_id", &value->ref, 4},
                 {"off", "off", &value->offset, 4},
                 {"r", "range", &value->range, 4},
                 {"ks", "ks", &value->key_size, 4},
                 {"vs", "vs", &value->value_size, 4},
                 {"smin", "smin_value", &value->smin, 8},
                 {"smax", "smax_value", &value->smax, 8},
                 {"umin", "umin_value", &value->umin, 8},
                 {"umax", "umax_value", &value->umax, 8}};
    uint64_t number;
    if (eb_str_is(key, "map"))
        value->map = (ebpf_bytes){fact.at, fact.len};
    if (eb_str_is(key, "var_off") && fact.len && fact.at[0] == '(') {
        fact = behind(fact, 1);
        if (take_number(&fact, &value->bits) && eb_str_starts(fact, "; ")) {
            fact = behind(fact, 2);
            (void)take_number(&fact, &value->mask);
        }
        return;
    }
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        uint32_t narrow;
        if (!eb_str_is(key, facts[i].name) && !eb_str_is(key, facts[i].older))
            continue;
        if (!take_number(&(eb_str){fact.at, fact.len}, &number))
            return;
        narrow = (uint32_t)number;
        if (facts[i].size == 4)
            memcpy(facts[i].to, &narrow, 4);
        else
            memcpy(facts[i].to, &number, 8);
    }
}

/* id=1,smin=smin32=0,var_off=(0x0; 0xff): the last of a chain is the value of all. */
static void read_facts(ebpf_log_value *value, eb_str facts) {
    while (facts.len) {
        size_t n = 0, depth = 0, last = 0;
        for (; n < facts.len && (depth || facts.at[n] != ','); n++) {
            depth += facts.at[n] == '(';
            depth -= depth && facts.at[n] == ')';
            if (facts.at[n] == '=' && !depth)
                last = n;
        }
        eb_str fact = last ? (eb_str){facts.at + last + 1, n - last - 1} : (eb_str){facts.at, 0};
        for (size_t start = 0, i = 0; last && i <= last; i++)
            if (facts.at[i] == '=') {
                set_fact(value, (eb_str){facts.at + start, i - start}, fact);
                start = i + 1;
            }
        facts = behind(facts, n < facts.len ? n + 1 : n);
    }
}

static void read_value(ebpf_log_value *value, eb_str text) {
    uint64_t number;
    size_t n = 0;
    value->text = (ebpf_bytes){text.at, text.len};
    if (value->flags & EBPF_VALUE_STACK && text.len == 8 && memchr("m0?dif", text.at[0], 6)) {
        value->type = value->text; /* a letter for each byte */
        return;
    }
    if (eb_str_starts(text, "inv")) { /* scalars before Linux 6.0 */
        value->type = (ebpf_bytes){"scalar", 6};
        text = behind(text, 3);
    }
    if (text.len && text.at[0] == 'P') {
        value->flags |= EBPF_VALUE_PRECISE;
        text = behind(text, 1);
    }
    eb_str left = text;
    if (take_number(&left, &number) && !left.len) {
        value->type = (ebpf_bytes){"scalar", 6};
        value->flags |= EBPF_VALUE_CONST;
        value->constant = value->smin = value->smax = (int64_t)number;
        value->umin = value->umax = value->bits = number;
        value->mask = 0;
        return;
    }
    while (n < text.len && text.at[n] != '(' && text.at[n] != '[' && text.at[n] != '-' &&
           text.at[n] != '+')
        n++;
    eb_str type = {text.at, n};
    if (eb_str_starts(type, "fp") && n > 2) /* fp0 */
        type.len = 2;
    if (type.len)
        value->type = (ebpf_bytes){type.at, type.len};
    left = behind(text, type.len);
    if (left.len && left.at[0] == '[') { /* a caller's stack: fp[0]-8 */
        const char *close = memchr(left.at, ']', left.len);
        left = close ? behind(left, (size_t)(close - left.at) + 1) : (eb_str){left.at, 0};
    }
    if (take_number(&left, &number))
        value->offset = (int32_t)(uint32_t)number;
    if (left.len > 1 && left.at[0] == '(')
        read_facts(value, (eb_str){left.at + 1, left.len - 1 - (left.at[left.len - 1] == ')')});
}

/* "R1_w" or "fp-8_r": what is in front of the =. */
static bool read_name(ebpf_log_value *value, eb_str name) {
    uint64_t number;
    bool stack = eb_str_starts(name, "fp-");
    if (!stack && (name.len < 2 || name.at[0] != 'R' || !is_digit(name.at[1])))
        return false;
    name = behind(name, stack ? 2 : 1);
    if (!take_number(&name, &number))
        return false;
    value->index = (int32_t)(uint32_t)number;
    value->flags = stack ? EBPF_VALUE_STACK : 0;
    for (size_t i = 0; i < name.len; i++) {
        value->flags |= name.at[i] == 'w' ? EBPF_VALUE_WRITTEN : 0u;
        value->flags |= name.at[i] == 'r' ? EBPF_VALUE_READ : 0u;
    }
    return true;
}

bool eb_log_next_value(eb_log_cursor *cursor, ebpf_log_value *value) {
    while (cursor->left.len) {
        if (cursor->left.at[0] == ' ') {
            cursor->left = behind(cursor->left, 1);
            continue;
        }
        eb_str word = take_word(&cursor->left);
        const char *equals = memchr(word.at, '=', word.len);
        uint64_t frame;
        if (eb_str_starts(word, "frame")) {
            word = behind(word, 5);
            cursor->frame = take_number(&word, &frame) ? (uint32_t)frame : 0;
            continue;
        }
        *value = (ebpf_log_value){.frame = cursor->frame,
                                  .smin = INT64_MIN,
                                  .smax = INT64_MAX,
                                  .umax = UINT64_MAX,
                                  .mask = UINT64_MAX};
        if (!equals || !read_name(value, (eb_str){word.at, (size_t)(equals - word.at)}))
            continue;
        read_value(value, behind(word, (size_t)(equals - word.at) + 1));
        return true;
    }
    return false;
}

bool eb_log_find_value(eb_str state, int frame, int32_t index, ebpf_log_value *value) {
    eb_log_cursor cursor = {state, 0};
    while (eb_log_next_value(&cursor, value))
        if (value->index == index && !(value->flags & EBPF_VALUE_STACK) == (index >= 0) &&
            (frame < 0 || value->frame == (uint32_t)frame))
            return true;
    return false;
}
