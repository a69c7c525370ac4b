/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/goal.h"

#include <stdio.h>
#include <string.h>

#define ROW(name) extern const gc_target_row gc_target_##name;
#include "cam/targets/list.h"
#undef ROW

static const gc_target_row *const rows[] = {
#define ROW(name) &gc_target_##name,
#include "cam/targets/list.h"
#undef ROW
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const gc_target_row *gc_target_row_at(size_t index)
{
    return index < ROW_COUNT ? rows[index] : NULL;
}

/* ---- Parsing -------------------------------------------------------------------------------- */

static bool has_prefix(const gc_target_row *row, const char *text, const char **argument)
{
    const size_t length = strlen(row->prefix);
    if (strncmp(text, row->prefix, length) != 0)
        return false;
    *argument = text[length] == ':' ? text + length + 1 : text + length;
    return text[length] == ':' || (text[length] == '\0' && row->argument_may_lack);
}

/* Rows are tried in order; the last one, a class, takes everything. */
static void find_row(gc_spec *spec)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        spec->row = rows[i];
        spec->argument = spec->text;
        if (rows[i]->prefix != NULL ? has_prefix(rows[i], spec->text, &spec->argument)
                                    : rows[i]->matches(spec->text))
            return;
    }
}

int gc_head_named(const char *text, size_t length, const char *const *names, int count)
{
    if (length == 0)
        return 0;
    for (int h = count - 1; h >= 0; h--)
        if (strncmp(names[h], text, length) == 0 && names[h][length] == '\0')
            return h;
    return -1;
}

static gradcam_status find_heads(gc_spec *spec, const char *const *names, int count,
                                 gradcam_error *error)
{
    char list[512] = "";
    spec->heads = 1;
    if (!spec->row->reads_named_head)
        return GRADCAM_OK;
    const int head = gc_head_named(spec->text, strcspn(spec->text, "["), names, count);
    for (int h = 0; h < count; h++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s'%s'", h > 0 ? ", " : "", names[h]);
    }
    GC_FAIL_IF(head < 0 || head >= GC_MAX_HEADS, error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': the network has no output of that name, but %s", spec->text, list);
    spec->heads = 1u << head;
    return GRADCAM_OK;
}

gradcam_status gc_spec_parse(gc_spec *spec, const gradcam_target *target,
                             const char *const *head_names, int head_count, gradcam_error *error)
{
    *spec = (gc_spec){.target = *target, .text = target->text};
    if (target->function != NULL) {
        spec->text = target->text != NULL ? target->text : "function";
        spec->heads = (1u << head_count) - 1u;
        return GRADCAM_OK;
    }
    GC_FAIL_IF(target->text == NULL || target->text[0] == '\0', error, GRADCAM_ERROR_ARGUMENT,
               "a target is empty: it has neither a text nor a function");
    find_row(spec);
    return find_heads(spec, head_names, head_count, error);
}

gradcam_status gc_spec_resolve(const gc_spec *spec, const gc_world *world, gc_goals *goals,
                               gradcam_error *error)
{
    const size_t before = goals->count;
    if (spec->row == NULL) {
        const gc_goal goal = {.text = spec->text,
                              .class_index = -1,
                              .heads = spec->heads,
                              .evaluate = spec->target.function,
                              .state = spec->target.user};
        return gc_goals_add(goals, &goal, error);
    }
    GC_TRY(spec->row->resolve(world, spec->text, spec->argument, goals, error));
    for (size_t i = before; i < goals->count; i++)
        goals->items[i].heads = spec->heads;
    return GRADCAM_OK;
}

/* ---- For rows ------------------------------------------------------------------------------- */

gradcam_status gc_goals_add(gc_goals *goals, const gc_goal *goal, gradcam_error *error)
{
    GC_TRY(gc_grow(&goals->items, &goals->capacity, goals->count + 1, sizeof *goal, error));
    goals->items[goals->count++] = *goal;
    return GRADCAM_OK;
}

int64_t gc_head_count(const gradcam_tensor *head)
{
    int64_t count = 1;
    for (int i = 0; i < head->rank; i++)
        count *= head->dims[i];
    return count;
}

const char *gc_head_shape(const gradcam_tensor *head, char text[GC_SHAPE_TEXT])
{
    gc_tensor type;
    gc_tensor_describe(&type, GC_FLOAT32, head->rank, head->dims);
    return gc_shape_text(&type, text);
}

bool gc_world_is_map(const gc_world *world)
{
    const gradcam_tensor *const head = &world->heads[0];
    return head->rank == 4 && head->dims[2] * head->dims[3] > 1;
}

gradcam_status gc_world_check_classes(const gc_world *world, const char *text, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    if (world->classes > 0)
        return GRADCAM_OK;
    const gradcam_tensor *const head = &world->heads[0];
    const char *const way_out =
        gc_world_is_map(world)
            ? "it is a map of classes: name a class and where, as in CLASS@own (where it is "
              "predicted), CLASS@x,y (a pixel of the picture), CLASS@all or CLASS@mask.png"
            : "name an element or a slice of it, as in [0,12,4], or 'up' for a single number";
    return gc_fail(error, GRADCAM_ERROR_SHAPE,
                   "target '%s': the network's output '%s' has the shape %s, not N x classes; %s",
                   text, head->name, gc_head_shape(head, shape), way_out);
}

gradcam_status gc_world_class(const gc_world *world, const char *text, int *index,
                              gradcam_error *error)
{
    if (text[0] == '\0') {
        *index = world->predictions[0].index;
        return GRADCAM_OK;
    }
    GC_TRY(world->find_class(world->user, text, index, error));
    GC_FAIL_IF(*index < 0 || *index >= world->classes, error, GRADCAM_ERROR_CLASS,
               "class %d is out of range: the network has classes 0 to %lld", *index,
               (long long)world->classes - 1);
    return GRADCAM_OK;
}
