/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* strcasecmp, strcasestr */
#include "cli/paths.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { LABEL_LIMIT = 40 };

static bool ends_with(const char *name, const char *const *endings, size_t count)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < count; i++) {
        const size_t ending = strlen(endings[i]);
        if (length > ending && strcasecmp(name + length - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static const char *const readable_endings[] = {".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",
                                               ".webp", ".tif",  ".tiff", ".bmp"};
enum { READABLE_COUNT = sizeof readable_endings / sizeof readable_endings[0] };

const char *gc_picture_ending(size_t index)
{
    return index < READABLE_COUNT ? readable_endings[index] : NULL;
}

static bool is_readable_name(const char *name)
{
    return ends_with(name, readable_endings, READABLE_COUNT);
}

static bool is_writable_name(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp"};
    return ends_with(name, endings, sizeof endings / sizeof endings[0]);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* ---- Pictures ------------------------------------------------------------------------------- */

static int wanted_entry(const struct dirent *entry)
{
    const char *const name = entry->d_name;
    return name[0] != '.' && is_readable_name(name) && strcasestr(name, ".gradcam.") == NULL &&
           strcasestr(name, ".heatmap.") == NULL;
}

/* Bytes, not locale: the order is the same everywhere. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static gradcam_status add_folder(gc_arena *arena, gc_texts *pictures, const char *folder,
                                 gradcam_error *error)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, wanted_entry, compare_entries);
    GC_FAIL_IF(count < 0, error, GRADCAM_ERROR_FILE, "%s: the folder cannot be read: %s.", folder,
               strerror(errno));
    const char *const slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    gradcam_status status = GRADCAM_OK;
    for (int i = 0; i < count; i++) {
        const char *path = NULL;
        if (status == GRADCAM_OK)
            status =
                gc_arena_format(arena, &path, error, "%s%s%s", folder, slash, entries[i]->d_name);
        if (status == GRADCAM_OK)
            status = gc_texts_add(pictures, path, error);
        free(entries[i]);
    }
    free(entries);
    if (status == GRADCAM_OK && count == 0)
        status = gc_fail(error, GRADCAM_ERROR_FILE,
                         "%s: no pictures in this folder (.jpg, .png, .webp, .tif, .bmp; folders "
                         "within it are not searched).",
                         folder);
    return status;
}

gradcam_status gc_pictures_add(gc_arena *arena, gc_texts *pictures, const char *argument,
                               gradcam_error *error)
{
    GC_FAIL_IF(argument[0] == '\0', error, GRADCAM_ERROR_ARGUMENT, "a picture's name is empty.");
    return is_folder(argument) ? add_folder(arena, pictures, argument, error)
                               : gc_texts_add(pictures, argument, error);
}

/* ---- Protection ----------------------------------------------------------------------------- */

gradcam_status gc_protect(gc_protected *list, const char *path, gradcam_error *error)
{
    struct stat info;
    if (path == NULL || stat(path, &info) != 0)
        return GRADCAM_OK;
    GC_TRY(gc_grow(&list->files, &list->capacity, list->count + 1, sizeof *list->files, error));
    list->files[list->count++] = (gc_file_id){info.st_dev, info.st_ino};
    return GRADCAM_OK;
}

void gc_protected_free(gc_protected *list)
{
    gc_free(list->files);
    *list = (gc_protected){0};
}

gradcam_status gc_protected_check(const gc_protected *list, const char *path, gradcam_error *error)
{
    struct stat info;
    if (path == NULL || stat(path, &info) != 0)
        return GRADCAM_OK;
    for (size_t i = 0; i < list->count; i++)
        if (list->files[i].device == info.st_dev && list->files[i].inode == info.st_ino)
            return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                           "%s: this output would replace an input. Give another name with -o.",
                           path);
    return GRADCAM_OK;
}

/* ---- Naming --------------------------------------------------------------------------------- */

static gradcam_status check_single(const char *option, const char *path, bool is_several,
                                   gradcam_error *error)
{
    GC_FAIL_IF(path != NULL && is_several, error, GRADCAM_ERROR_ARGUMENT,
               "%s names one file (%s), but several pictures or maps are asked for. Name a folder: "
               "-o maps/.",
               option, path);
    return GRADCAM_OK;
}

static gradcam_status check_ending(const char *path, gradcam_error *error)
{
    GC_FAIL_IF(path != NULL && !is_writable_name(path), error, GRADCAM_ERROR_ARGUMENT,
               "%s: the name has to end in " GC_PICTURE_ENDINGS
               ", which says how to write it; a folder ends in '/'.",
               path);
    return GRADCAM_OK;
}

static gradcam_status check_different(const char *a, const char *b, gradcam_error *error)
{
    GC_FAIL_IF(a != NULL && b != NULL && strcmp(a, b) == 0, error, GRADCAM_ERROR_ARGUMENT,
               "%s: two outputs have the same name.", a);
    return GRADCAM_OK;
}

static gradcam_status check_names(const gc_naming *naming, bool is_several, gradcam_error *error)
{
    const gc_settings *const s = naming->settings;
    const char *const json = s->json.path;
    GC_TRY(check_single("-o", naming->overlay, is_several, error));
    GC_TRY(check_single("--heatmap", s->heatmap.path, is_several, error));
    GC_TRY(check_single("--npy", s->npy.path, is_several, error));
    GC_TRY(check_ending(naming->overlay, error));
    GC_TRY(check_ending(s->heatmap.path, error));
    GC_TRY(check_different(naming->overlay, s->heatmap.path, error));
    GC_TRY(check_different(naming->overlay, s->npy.path, error));
    GC_TRY(check_different(naming->overlay, json, error));
    GC_TRY(check_different(s->heatmap.path, s->npy.path, error));
    GC_TRY(check_different(s->heatmap.path, json, error));
    return check_different(s->npy.path, json, error);
}

/* -o is a folder if it ends in '/', if there is such a folder, or if there are several outputs and
 * it does not look like a picture. */
gradcam_status gc_naming_init(gc_naming *naming, gc_arena *arena, const gc_settings *settings,
                              bool is_several, gradcam_error *error)
{
    *naming = (gc_naming){.arena = arena, .settings = settings, .folder = ""};
    const char *const output = settings->output;
    if (output != NULL) {
        const bool has_slash = output[strlen(output) - 1] == '/';
        if (has_slash || is_folder(output) || (is_several && !is_readable_name(output)))
            GC_TRY(gc_arena_format(arena, &naming->folder, error, "%s%s", output,
                                   has_slash ? "" : "/"));
        else
            naming->overlay = output;
    }
    GC_TRY(check_names(naming, is_several, error));
    return gc_map_create(&naming->taken, error);
}

void gc_naming_free(gc_naming *naming)
{
    gc_map_destroy(&naming->taken);
}

/* Length of a path without the ending of its file name; ".hidden" has none. */
static int stem_length(const char *path)
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash != NULL ? slash + 1 : path;
    const char *const dot = strrchr(name, '.');
    return (int)(dot != NULL && dot != name ? dot - path : (ptrdiff_t)strlen(path));
}

gradcam_status gc_naming_base(gc_naming *naming, const char *picture, const char **base,
                              gradcam_error *error)
{
    if (naming->overlay != NULL)
        return gc_arena_format(naming->arena, base, error, "%.*s", stem_length(naming->overlay),
                               naming->overlay);
    const char *const slash = strrchr(picture, '/');
    const char *const name = slash != NULL ? slash + 1 : picture;
    const char *stem = NULL, *candidate = NULL;
    GC_TRY(gc_arena_format(naming->arena, &stem, error, "%.*s", stem_length(name), name));
    /* The number of uses is kept, so that a thousand pictures of one name need no thousand tries
     * each; cat-2 itself may be the name of another picture, hence the loop. */
    int uses = gc_map_get(naming->taken, stem, 0);
    candidate = stem;
    while (gc_map_get(naming->taken, candidate, 0) != 0)
        GC_TRY(gc_arena_format(naming->arena, &candidate, error, "%s-%d", stem, ++uses));
    GC_TRY(gc_map_set(naming->taken, candidate, 1, error));
    if (candidate != stem)
        GC_TRY(gc_map_set(naming->taken, stem, uses, error));
    return gc_arena_format(naming->arena, base, error, "%s%s", naming->folder, candidate);
}

/* Text fit for a file name, up to `stop`: bytes above 127 are UTF-8 and stay. */
static void text_for_name(const char *text, char stop, char *out)
{
    size_t length = 0;
    for (; *text != '\0' && *text != stop && length < LABEL_LIMIT; text++) {
        const unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c >= 128 || c == '_' || c == '+')
            out[length++] = *text;
        else if (length > 0 && out[length - 1] != '-')
            out[length++] = '-';
    }
    /* Do not cut a character in two. */
    while (length > 0 && ((unsigned char)*text & 0xC0) == 0x80)
        text--, length--;
    while (length > 0 && out[length - 1] == '-')
        length--;
    out[length] = '\0';
}

static bool differs(const char *a, const char *b)
{
    return strcmp(a, b) != 0;
}

gc_variety gc_variety_of(const gradcam_explanation *explanation)
{
    gc_variety v = {false, false, false};
    const gradcam_map *const first = gradcam_explanation_map(explanation, 0);
    const gradcam_map *map = NULL;
    for (size_t i = 1; (map = gradcam_explanation_map(explanation, i)) != NULL; i++) {
        v.targets |= differs(map->target, first->target);
        v.methods |= differs(map->method, first->method);
        v.layers |= map->layer.index >= 0 && first->layer.index >= 0 &&
                    map->layer.index != first->layer.index;
    }
    return v;
}

/* ".281-tabby": a class by its index and the first of its synonyms; another target by its text. */
static gradcam_status target_suffix(const gc_naming *naming, const gradcam_map *map,
                                    const char **suffix, gradcam_error *error)
{
    const gradcam_prediction *const p = &map->prediction;
    char label[LABEL_LIMIT + 1] = "";
    const size_t digits = strspn(map->target, "0123456789");
    if (p->index < 0 || map->target[digits] != '\0') {
        text_for_name(map->target, '\0', label);
        return gc_arena_format(naming->arena, suffix, error, ".%s", label);
    }
    if (p->label != NULL)
        text_for_name(p->label, ',', label);
    return gc_arena_format(naming->arena, suffix, error, ".%d%s%s", p->index,
                           label[0] != '\0' ? "-" : "", label);
}

static gradcam_status suffix_of(const gc_naming *naming, const gradcam_map *map, gc_variety v,
                                const char **suffix, gradcam_error *error)
{
    char method[LABEL_LIMIT + 1] = "", layer[LABEL_LIMIT + 1] = "";
    const char *target = "";
    if (v.targets)
        GC_TRY(target_suffix(naming, map, &target, error));
    if (v.methods)
        text_for_name(map->method, '\0', method);
    if (v.layers && map->layer.index >= 0)
        snprintf(layer, sizeof layer, "layer%d", map->layer.index);
    GC_TRY(gc_arena_format(naming->arena, suffix, error, "%s%s%s%s%s", target,
                           method[0] != '\0' ? "." : "", method, layer[0] != '\0' ? "." : "",
                           layer));
    if (map->part >= 0)
        GC_TRY(gc_arena_format(naming->arena, suffix, error, "%s.%d", *suffix, map->part + 1));
    return GRADCAM_OK;
}

gradcam_status gc_naming_files(const gc_naming *naming, const char *base, const gradcam_map *map,
                               gc_variety variety, gc_map_files *files, gradcam_error *error)
{
    const gc_settings *const s = naming->settings;
    const char *suffix = NULL;
    *files = (gc_map_files){naming->overlay, s->heatmap.path, s->npy.path};
    GC_TRY(suffix_of(naming, map, variety, &suffix, error));
    if (files->overlay == NULL)
        GC_TRY(gc_arena_format(naming->arena, &files->overlay, error, "%s%s.gradcam.png", base,
                               suffix));
    if (files->heatmap == NULL && s->heatmap.wanted)
        GC_TRY(gc_arena_format(naming->arena, &files->heatmap, error, "%s%s.heatmap.png", base,
                               suffix));
    if (files->npy == NULL && s->npy.wanted)
        GC_TRY(gc_arena_format(naming->arena, &files->npy, error, "%s%s.npy", base, suffix));
    return GRADCAM_OK;
}

gradcam_status gc_naming_make_folder(const gc_naming *naming, gradcam_error *error)
{
    const char *path = NULL;
    if (naming->folder[0] == '\0' || is_folder(naming->folder))
        return GRADCAM_OK;
    for (const char *slash = strchr(naming->folder + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        GC_TRY(gc_arena_string(naming->arena, &path, naming->folder,
                               (size_t)(slash - naming->folder), error));
        GC_FAIL_IF(mkdir(path, 0777) != 0 && !is_folder(path), error, GRADCAM_ERROR_FILE,
                   "%s: the folder cannot be made: %s.", path, strerror(errno));
    }
    return GRADCAM_OK;
}
