/* kernel_names.c - which of the unit's names BTF has, and where.
 *
 * A kernel's BTF has a hundred thousand strings, a program mentions some hundred names, and all of
 * them are known before it is parsed. So it is the unit's names that are put into a table, not
 * BTF's: one pass over the strings finds those that the unit mentions, past a filter that has a bit
 * for how a text begins and how long it is, and one pass over the types finds what has one of these
 * strings for a name. Names are taken to be whole strings, as all that write BTF make them. */
#include "kernel.h"

enum { FILTER_BITS = 16, FILTER_BYTES = 1 << (FILTER_BITS - 3) };

/* A string of BTF that is a word of the unit. */
typedef struct slot {
    uint32_t offset; /* 0: free */
    uint32_t word;
} slot;

typedef struct slots {
    slot *at;
    uint32_t mask, count;
} slots;

typedef struct search {
    eb_kernel *k;
    ebpf_ctx *ctx;
    uint8_t *filter;
    slots below, own; /* strings of the base, and of the BTF that stands on it */
    uint32_t kfunc;   /* the word that tags functions which programs may call */
} search;

static const uint64_t factor = 0x9e3779b97f4a7c15;

/* ---- the names of the unit ---- */

/* The bit of a text whose first 8 bytes, or all with zeroes behind them, are `head`. */
static uint32_t bit_of(uint64_t head, size_t length) {
    return (uint32_t)((head ^ (length * factor)) * factor >> (64 - FILTER_BITS));
}

static uint64_t head_of(eb_str text) {
    uint64_t head = 0;
    memcpy(&head, text.at, text.len < sizeof head ? text.len : sizeof head);
    return head;
}

static uint32_t word_of(search *s, eb_str text) {
    bool is_new;
    uint32_t *word = eb_map_enter(&s->k->index, text, &is_new);
    if (is_new) {
        uint32_t bit = bit_of(head_of(text), text.len);
        s->filter[bit / 8] |= (uint8_t)(1u << bit % 8);
        *word = s->k->words.len;
        *EB_PUSH(&s->ctx->arena, &s->k->words) = (eb_kernel_word){.text = text};
    }
    return *word;
}

/* The number of the suffix of x___2, and the length of x; 0 when there is none. */
static uint32_t suffix_of(eb_str text, size_t *length) {
    size_t at = text.len;
    uint32_t number = 0;
    while (at && text.len - at < 6 && text.at[at - 1] >= '0' && text.at[at - 1] <= '9')
        at--;
    for (size_t i = at; i < text.len; i++)
        number = number * 10 + (uint32_t)(text.at[i] - '0');
    if (number < 2 || at < 4 || text.at[at] == '0' || memcmp(text.at + at - 3, "___", 3) != 0)
        return 0;
    *length = at - 3;
    return number;
}

static void enter_name(search *s, uint32_t name) {
    eb_kernel_name *entry = &s->k->names.at[name];
    eb_str text = s->k->u->words->names.at[name].text;
    if (entry->word)
        return;
    entry->word = word_of(s, text) + 1;
    entry->number = suffix_of(text, &text.len);
    if (entry->number)
        entry->stem = word_of(s, text) + 1;
}

static void enter_names(search *s) {
    eb_kernel *k = s->k;
    uint32_t count = k->u->words->names.len;
    k->names.at = eb_alloc_array(&s->ctx->arena, count, sizeof *k->names.at);
    k->names.len = k->names.cap = count;
    for (uint32_t n = 0; n < k->u->count; n++) {
        eb_tok tok = k->u->toks[n];
        if (tok.kind == EB_TOK_NAME && tok.value >= EB_KW_COUNT)
            enter_name(s, tok.value);
    }
}

/* ---- strings ---- */

static slot *slot_of(const slots *table, uint32_t offset) {
    uint32_t i = (uint32_t)(offset * factor >> 32) & table->mask;
    while (table->at[i].offset && table->at[i].offset != offset)
        i = (i + 1) & table->mask;
    return &table->at[i];
}

static void enter_string(search *s, slots *table, uint32_t offset, uint32_t word) {
    if (table->count * 4 >= table->mask) {
        slots old = *table;
        table->mask = old.mask ? old.mask * 2 + 1 : 1023;
        table->at = eb_alloc_array(&s->ctx->arena, (size_t)table->mask + 1, sizeof *table->at);
        for (uint32_t i = 0; old.mask && i <= old.mask; i++)
            if (old.at[i].offset)
                *slot_of(table, old.at[i].offset) = old.at[i];
    }
    *slot_of(table, offset) = (slot){offset, word};
    table->count++;
}

/* The words among the strings of `btf`. */
static void find_strings(search *s, const eb_btf *btf, slots *table) {
    *table = (slots){0};
    enter_string(s, table, UINT32_MAX, 0); /* so that it has room */
    for (size_t at = 0; at < btf->strings_size;) {
        eb_str text = eb_str_from(btf->strings + at);
        uint64_t head = 0;
        if (text.len >= sizeof head)
            memcpy(&head, text.at, sizeof head);
        else
            head = head_of(text);
        uint32_t bit = bit_of(head, text.len);
        if (s->filter[bit / 8] >> bit % 8 & 1) {
            const uint32_t *word = eb_map_find(&s->k->index, text);
            if (word && btf->string_base + at)
                enter_string(s, table, btf->string_base + (uint32_t)at, *word);
        }
        at += text.len + 1;
    }
}

/* ---- types ---- */

/* The word that the string at `offset` is, or NULL. */
static eb_kernel_word *word_at(const search *s, const eb_btf *btf, uint32_t offset) {
    const slots *table = offset < btf->string_base ? &s->below : &s->own;
    const slot *found = slot_of(table, offset);
    return offset && found->offset == offset ? &s->k->words.at[found->word] : NULL;
}

static void enter_place(search *s, eb_kernel_place place, uint32_t *first, uint32_t *last) {
    *EB_PUSH(&s->ctx->arena, &s->k->places) = place;
    uint32_t number = s->k->places.len;
    if (*last)
        s->k->places.at[*last - 1].next = number;
    else
        *first = number;
    *last = number;
}

/* The enumerators that the unit mentions. */
static void find_enumerators(search *s, uint32_t n, uint32_t id, const uint8_t *head) {
    const eb_btf *btf = s->k->btfs[n].btf;
    uint32_t info = eb_get32(head + 4, btf->big);
    uint32_t each = eb_btf_layouts[info >> 24 & 31].each;
    const uint8_t *at = head + EB_BTF_HEAD;
    for (uint32_t i = 0; i < (info & 0xffff); i++, at += each) {
        eb_kernel_word *word = word_at(s, btf, eb_get32(at, btf->big));
        if (word)
            enter_place(s, (eb_kernel_place){n, id, i, 0}, &word->ordinary, &word->last_ordinary);
    }
}

/* A tag of a function as one that programs may call: the function, if the unit mentions it. */
static void find_kfunc(search *s, uint32_t n, const uint8_t *head) {
    const eb_btf *btf = s->k->btfs[n].btf;
    uint32_t id = eb_get32(head + 8, btf->big);
    const uint8_t *func = eb_btf_head(btf, id);
    bool whole = eb_get32(head + EB_BTF_HEAD, btf->big) == UINT32_MAX;
    if (!func || !whole || eb_btf_kind_of(btf, id) != EB_BTF_FUNC)
        return;
    eb_kernel_word *word = word_at(s, btf, eb_get32(func, btf->big));
    uint32_t last = 0;
    if (word && !word->kfunc)
        enter_place(s, (eb_kernel_place){n, id, EB_KERNEL_TYPE, 0}, &word->kfunc, &last);
}

/* Whether the type is one that tells of a kernel with longs of 4 bytes. */
static bool is_narrow(const eb_btf *btf, uint32_t id) {
    static const char *const names[] = {"long int", "long unsigned int", "long", "unsigned long"};
    eb_btf_type type = eb_btf_at(btf, id);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (type.size_or_type == 4 && eb_str_is(type.name, names[i]))
            return true;
    return false;
}

static void find_type(search *s, uint32_t n, uint32_t id, const uint8_t *head) {
    const eb_btf *btf = s->k->btfs[n].btf;
    uint32_t kind = eb_get32(head + 4, btf->big) >> 24 & 31;
    eb_kernel_word *word = word_at(s, btf, eb_get32(head, btf->big));
    eb_kernel_place place = {n, id, EB_KERNEL_TYPE, 0};
    if (kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64)
        find_enumerators(s, n, id, head);
    if (kind == EB_BTF_INT && is_narrow(btf, id))
        s->k->narrow = true;
    else if (word && EB_BTF_IS(kind) & EB_BTF_TAGS)
        enter_place(s, place, &word->tags, &word->last_tag);
    else if (word && kind == EB_BTF_TYPEDEF)
        enter_place(s, place, &word->ordinary, &word->last_ordinary);
    else if (word == &s->k->words.at[s->kfunc])
        find_kfunc(s, n, head);
}

/* Most types are functions, prototypes and what else has no name in C. */
static void find_types(search *s, uint32_t n) {
    const uint32_t kinds = EB_BTF_TAGS | EB_BTF_IS(EB_BTF_TYPEDEF) | EB_BTF_IS(EB_BTF_DECL_TAG) |
                           EB_BTF_IS(EB_BTF_INT);
    const eb_btf *btf = s->k->btfs[n].btf;
    for (uint32_t i = 0; i < btf->offsets.len; i++) {
        const uint8_t *head = btf->types + btf->offsets.at[i];
        if (kinds >> (eb_get32(head + 4, btf->big) >> 24 & 31) & 1)
            find_type(s, n, btf->first + i, head);
    }
}

void eb_kernel_find_names(eb_kernel *k) {
    search s = {.k = k, .ctx = k->u->ctx};
    k->index.arena = &s.ctx->arena;
    s.filter = eb_alloc(&s.ctx->arena, FILTER_BYTES);
    s.kfunc = word_of(&s, EB_STR("bpf_kfunc"));
    enter_names(&s);
    for (uint32_t n = 0; n < k->count; n++) {
        find_strings(&s, k->btfs[n].btf, n ? &s.own : &s.below);
        if (!n)
            s.own = s.below; /* the first stands on nothing: all strings are its own */
        find_types(&s, n);
    }
}
