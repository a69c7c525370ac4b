/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of files: which pictures are meant, where the outputs go, and that no output replaces an
 * input.
 *
 * A picture photos/cat.jpg has the base name "cat" (a second cat.* in the same run "cat-2"). Its
 * outputs are cat.gradcam.png, cat.heatmap.png and cat.npy, in the folder of -o or the current one;
 * with several classes cat.281-tabby.gradcam.png and so on.
 */
#ifndef GC_CLI_PATHS_H
#define GC_CLI_PATHS_H

#include <sys/types.h>

#include "base/map.h"
#include "cli/command.h"

/** Endings of pictures that can be written, for messages. */
#define GC_PICTURE_ENDINGS ".png, .jpg, .jpeg or .webp"

/** Endings of the pictures that are looked for in folders, by index, as ".jpg"; NULL past the last.
 */
const char *gc_picture_ending(size_t index);

/** Adds `argument` to `pictures`; if it is a folder, the pictures in it, sorted, without those this
 *  tool wrote. The names belong to `arena`. */
gradcam_status gc_pictures_add(gc_arena *arena, gc_texts *pictures, const char *argument,
                               gradcam_error *error);

typedef struct gc_file_id {
    dev_t device;
    ino_t inode;
} gc_file_id;

/** Files that must not be written to. */
typedef struct gc_protected {
    gc_file_id *files;
    size_t count, capacity;
} gc_protected;

/** Remembers a file; NULL and files that do not exist are skipped. */
gradcam_status gc_protect(gc_protected *list, const char *path, gradcam_error *error);
void gc_protected_free(gc_protected *list);

/** Fails if `path` is one of the protected files, under whatever name. */
gradcam_status gc_protected_check(const gc_protected *list, const char *path, gradcam_error *error);

typedef struct gc_naming {
    gc_arena *arena;
    const gc_settings *settings;
    const char *folder;  /* "" or with a final '/' */
    const char *overlay; /* the file that -o names, or NULL */
    gc_map *taken;       /* base name to the number of its uses */
} gc_naming;

/** Checks the names that the options give against each other and against the number of outputs. */
gradcam_status gc_naming_init(gc_naming *naming, gc_arena *arena, const gc_settings *settings,
                              bool is_several, gradcam_error *error);
void gc_naming_free(gc_naming *naming);

/** The files of one map; NULL: not asked for. */
typedef struct gc_map_files {
    const char *overlay, *heatmap, *npy;
} gc_map_files;

/** *base = the path, without endings, that the outputs of this picture have in common. */
gradcam_status gc_naming_base(gc_naming *naming, const char *picture, const char **base,
                              gradcam_error *error);

/** In what the maps of one picture differ: only that is part of their names. */
typedef struct gc_variety {
    bool targets, methods, layers;
} gc_variety;
gc_variety gc_variety_of(const gradcam_explanation *explanation);

gradcam_status gc_naming_files(const gc_naming *naming, const char *base, const gradcam_map *map,
                               gc_variety variety, gc_map_files *files, gradcam_error *error);

/** Makes the folder of -o where it is missing. */
gradcam_status gc_naming_make_folder(const gc_naming *naming, gradcam_error *error);

#endif
