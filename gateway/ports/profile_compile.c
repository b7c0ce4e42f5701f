/* SPDX-License-Identifier: Apache-2.0
 *
 * The profile compiler: profile_compile OUT.c PROFILE.yaml...
 * Checks each profile (with its golden frames) and writes all of them as const tables,
 * with the regmap_by_name() and regmap_at() that the drivers room promises. Runs at build
 * time, so that a profile that is wrong does not build.
 */
#include "ports/profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The enumerations of a map, before the fields that point to them. */
static void write_values(FILE *out, size_t map, const struct regmap *m)
{
    for (uint16_t i = 0; i < m->field_count; i++) {
        const struct regmap_field *f = &m->fields[i];
        if (f->value_count == 0)
            continue;
        fprintf(out, "static const struct regmap_enum values_%zu_%u[] = {\n", map, i);
        for (uint16_t j = 0; j < f->value_count; j++)
            fprintf(out, "    {%" PRIu32 "U, %" PRIu32 "U, \"%s\"},\n", f->values[j].raw,
                    f->values[j].coded, f->values[j].label);
        fprintf(out, "};\n");
    }
}

/* A 64-bit constant. INT64_MIN has no literal of its own. */
static void write_i64(FILE *out, const char *name, int64_t n)
{
    if (n == INT64_MIN)
        fprintf(out, "     .%s = INT64_MIN,\n", name);
    else if (n != 0)
        fprintf(out, "     .%s = INT64_C(%" PRId64 "),\n", name, n);
}

/* Everything is written out, also what is 0: the C file is for reading in a debugger. */
static void write_field(FILE *out, size_t map, uint16_t i, const struct regmap_field *f)
{
    fprintf(out, "    {.name = \"%s\", .role = %u, .function = %u, .address = %u,\n",
            f->name, f->role, f->function, f->address);
    fprintf(out, "     .type = %u, .order = %u, .length = %u, .bit = %u, .bits = %u,\n",
            f->type, f->order, f->length, f->bit, f->bits);
    fprintf(out, "     .decimals = %d, .scale_exponent = %d, .limit_exponent = %d,\n",
            f->decimals, f->scale_exponent, f->limit_exponent);
    write_i64(out, "scale", f->scale);
    write_i64(out, "offset", f->offset);
    write_i64(out, "minimum", f->minimum);
    write_i64(out, "maximum", f->maximum);
    fprintf(out, "     .has_minimum = %d, .has_maximum = %d,\n", f->has_minimum,
            f->has_maximum);
    fprintf(out,
            "     .code = %" PRIu32 "U, .unit = %" PRIu32 "U, .site = %" PRIu32
            "U, .method = %" PRIu32 "U,\n",
            f->code, f->unit, f->site, f->method);
    fprintf(out, "     .every_ms = %" PRIu32 "U, .expect = UINT64_C(%" PRIu64 "),\n",
            f->every_ms, f->expect);
    if (f->sentinel_count > 0) {
        fprintf(out, "     .sentinel_count = %u, .sentinels = {", f->sentinel_count);
        for (uint8_t j = 0; j < f->sentinel_count; j++)
            fprintf(out, "{UINT64_C(%" PRIu64 "), %u}, ", f->sentinels[j].raw,
                    f->sentinels[j].quality);
        fprintf(out, "},\n");
    }
    if (f->value_count > 0)
        fprintf(out, "     .values = values_%zu_%u, .value_count = %u,\n", map, i,
                f->value_count);
    fprintf(out, "    },\n");
}

/* One profile: its enumerations, its fields, itself. */
static void write_map(FILE *out, size_t index, const struct regmap *m)
{
    write_values(out, index, m);
    fprintf(out, "static const struct regmap_field fields_%zu[] = {\n", index);
    for (uint16_t i = 0; i < m->field_count; i++)
        write_field(out, index, i, &m->fields[i]);
    fprintf(out, "};\nstatic const struct regmap map_%zu = {\n", index);
    fprintf(out, "    .name = \"%s\", .title = \"%s\", .stable = %d,\n", m->name,
            m->title, m->stable);
    fprintf(out, "    .evidence = \"%s\",\n", m->evidence);
    fprintf(out, "    .hole_max = %u, .block_max = %u, .response_ms = %u,\n", m->hole_max,
            m->block_max, m->response_ms);
    fprintf(out, "    .turnaround_ms = %u, .every_ms = %" PRIu32 "U,\n", m->turnaround_ms,
            m->every_ms);
    fprintf(out, "    .fields = fields_%zu, .field_count = %u,\n};\n\n", index,
            m->field_count);
}

/* What drivers/regmap.h declares, over all of them. */
static void write_lookup(FILE *out, size_t count)
{
    fprintf(out, "static const struct regmap *const maps[] = {");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "&map_%zu, ", i);
    fprintf(out,
            "NULL};\n\n"
            "const struct regmap *regmap_at(size_t index)\n{\n"
            "    return index < sizeof(maps) / sizeof(maps[0]) ? maps[index] : NULL;\n"
            "}\n\n"
            "const struct regmap *regmap_by_name(const char *name)\n{\n"
            "    for (size_t i = 0; maps[i]; i++)\n"
            "        if (strcmp(maps[i]->name, name) == 0)\n"
            "            return maps[i];\n"
            "    return NULL;\n}\n");
}

/* Any error leaves no output, so that the build cannot go on with a stale one. */
int main(int argc, char **argv)
{
    char error[PROFILE_ERROR_MAX];
    FILE *out;

    if (argc < 2) {
        fprintf(stderr, "usage: profile_compile OUT.c PROFILE.yaml...\n");
        return EXIT_FAILURE;
    }
    out = fopen(argv[1], "we");
    if (!out) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    fprintf(out, "/* Made from drivers/profiles by profile_compile: do not edit. */\n"
                 "#include \"drivers/regmap.h\"\n\n#include <string.h>\n\n");
    for (int i = 2; i < argc; i++) {
        struct profile *profile;
        if (profile_load(argv[i], &profile, error, sizeof(error))) {
            fprintf(stderr, "%s\n", error);
            fclose(out);
            remove(argv[1]); /* half a table must not look like a whole one */
            return EXIT_FAILURE;
        }
        write_map(out, (size_t)(i - 2), profile_regmap(profile));
        profile_free(profile);
    }
    write_lookup(out, (size_t)(argc - 2));
    if (fclose(out) != 0) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
