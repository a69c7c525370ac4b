/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/survey.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "onnx/build.h"

enum { MODEL_GRAPH = 7, MODEL_FUNCTION = 25 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_ATTRIBUTE = 5, FUNCTION_NODE = 7, FUNCTION_DEFAULT = 11 };

typedef struct surveyor {
    gc_survey *survey;
    gc_map *initializers, *operators, *functions; /* names; "domain\nname" to index */
    size_t operator_capacity, input_capacity, output_capacity;
    gc_survey_operator *counted; /* grows; copied into the arena at the end */
    gc_survey_value *inputs, *outputs;
    gradcam_error *error;
} surveyor;

static gradcam_status copy(surveyor *s, const char *text, const char **to)
{
    return gc_arena_string(s->survey->arena, to, gc_text(text), strlen(gc_text(text)), s->error);
}

/* ---- Parts ---------------------------------------------------------------------------------- */

static gradcam_status key_of(surveyor *s, const char *domain, const char *name, const char **key)
{
    return gc_arena_format(s->survey->arena, key, s->error, "%s\n%s", gc_domain(domain),
                           gc_text(name));
}

static gradcam_status see_function(surveyor *s, gc_bytes bytes)
{
    GcOnnx__Function *f = NULL;
    const char *key = NULL;
    GC_TRY(gc_unpack(&f, &gc_onnx__function__descriptor, bytes,
                     1u << FUNCTION_NODE | 1u << FUNCTION_DEFAULT, s->error));
    gradcam_status status = key_of(s, f->domain, f->name, &key);
    gc_unpacked_free(f);
    if (status == GRADCAM_OK)
        status = gc_map_set(s->functions, key, 1, s->error);
    s->survey->function_count++;
    return status;
}

static gradcam_status count_operator(surveyor *s, const GcOnnx__Node *node)
{
    const char *key = NULL;
    GC_TRY(key_of(s, node->domain, node->op_type, &key));
    const int index = gc_map_get(s->operators, key, -1);
    if (index >= 0) {
        s->counted[index].count++;
        return GRADCAM_OK;
    }
    GC_TRY(gc_grow(&s->counted, &s->operator_capacity, s->survey->operator_count + 1,
                   sizeof *s->counted, s->error));
    GC_TRY(gc_map_set(s->operators, key, (int)s->survey->operator_count, s->error));
    gc_survey_operator *const o = &s->counted[s->survey->operator_count++];
    *o = (gc_survey_operator){.count = 1, .is_function = gc_map_get(s->functions, key, 0) != 0};
    GC_TRY(copy(s, node->op_type, &o->name));
    return copy(s, gc_domain(node->domain), &o->domain);
}

static gradcam_status see_node(surveyor *s, gc_bytes bytes)
{
    GcOnnx__Node *node = NULL;
    GC_TRY(gc_unpack(&node, &gc_onnx__node__descriptor, bytes, 1u << NODE_ATTRIBUTE, s->error));
    const gradcam_status status = count_operator(s, node);
    gc_unpacked_free(node);
    s->survey->node_count++;
    return status;
}

static gradcam_status see_initializer(surveyor *s, gc_bytes bytes)
{
    gc_tensor_message message;
    const char *name = NULL;
    gradcam_status status = gc_tensor_message_open(&message, bytes, s->error);
    if (status == GRADCAM_OK)
        status = copy(s, message.header->name, &name);
    if (status == GRADCAM_OK)
        status = gc_map_set(s->initializers, name, 1, s->error);
    if (status == GRADCAM_OK && message.header->n_dims > 0) {
        int64_t count = 1;
        for (size_t i = 0; i < message.header->n_dims; i++)
            if (__builtin_mul_overflow(count, message.header->dims[i], &count))
                count = 0;
        const gc_dtype type = gc_onnx_dtype(message.header->data_type);
        s->survey->parameters += count;
        s->survey->parameter_bytes +=
            type != GC_UNDEFINED ? count * (int64_t)gc_onnx_element_size(type) : 0;
    }
    s->survey->initializer_count++;
    gc_tensor_message_close(&message);
    return status;
}

static gradcam_status describe(surveyor *s, const GcOnnx__ValueInfo *info, gc_survey_value *value)
{
    *value = (gc_survey_value){.rank = -1, .type = "?"};
    GC_TRY(copy(s, info->name, &value->name));
    const GcOnnx__TensorType *const t = info->type != NULL ? info->type->tensor_type : NULL;
    if (t == NULL)
        return GRADCAM_OK;
    const gc_dtype type = gc_onnx_dtype(t->elem_type);
    value->type = type != GC_UNDEFINED ? gc_dtype_name(type) : "?";
    if (t->shape == NULL || t->shape->n_dim > GC_MAX_RANK)
        return GRADCAM_OK;
    value->rank = (int)t->shape->n_dim;
    for (int i = 0; i < value->rank; i++) {
        const GcOnnx__Dimension *const d = t->shape->dim[i];
        value->dims[i] = d->has_dim_value && d->dim_value >= 0 ? d->dim_value : -1;
        GC_TRY(copy(s, d->dim_param, &value->dim_names[i]));
    }
    return GRADCAM_OK;
}

static gradcam_status see_value(surveyor *s, gc_bytes bytes, gc_survey_value **list, size_t *count,
                                size_t *capacity)
{
    GcOnnx__ValueInfo *info = NULL;
    GC_TRY(gc_unpack(&info, &gc_onnx__value_info__descriptor, bytes, 0, s->error));
    gradcam_status status = GRADCAM_OK;
    if (gc_map_get(s->initializers, gc_text(info->name), 0) == 0) {
        status = gc_grow(list, capacity, *count + 1, sizeof **list, s->error);
        if (status == GRADCAM_OK)
            status = describe(s, info, &(*list)[(*count)++]);
    }
    gc_unpacked_free(info);
    return status;
}

/* ---- Graph and model ------------------------------------------------------------------------ */

/* Initializers first: inputs of their names are none. */
static gradcam_status see_graph(surveyor *s, gc_bytes bytes)
{
    gc_field field;
    gc_wire wire = gc_wire_of(bytes);
    while (gc_wire_next(&wire, &field))
        if (field.type == GC_WIRE_BYTES && field.number == GRAPH_INITIALIZER)
            GC_TRY(see_initializer(s, field.content));
    wire = gc_wire_of(bytes);
    while (gc_wire_next(&wire, &field)) {
        if (field.type != GC_WIRE_BYTES)
            continue;
        if (field.number == GRAPH_NODE)
            GC_TRY(see_node(s, field.content));
        else if (field.number == GRAPH_INPUT)
            GC_TRY(see_value(s, field.content, &s->inputs, &s->survey->input_count,
                             &s->input_capacity));
        else if (field.number == GRAPH_OUTPUT)
            GC_TRY(see_value(s, field.content, &s->outputs, &s->survey->output_count,
                             &s->output_capacity));
    }
    return GRADCAM_OK;
}

static gradcam_status see_header(surveyor *s, const GcOnnx__Model *model)
{
    gc_survey *const v = s->survey;
    const char *const name = gc_text(model->producer_name);
    const char *const version = gc_text(model->producer_version);
    GC_FAIL_IF(model->ir_version < 1, s->error, GRADCAM_ERROR_MODEL,
               "truncated or not an ONNX model: it has no IR version");
    v->ir_version = model->ir_version;
    GC_TRY(gc_arena_format(v->arena, &v->producer, s->error, "%s%s%s", name,
                           name[0] != '\0' && version[0] != '\0' ? " " : "", version));
    GC_TRY(gc_arena_new(v->arena, &v->opsets, model->n_opset_import, sizeof *v->opsets, s->error));
    for (size_t i = 0; i < model->n_opset_import; i++) {
        v->opsets[i].version = model->opset_import[i]->version;
        GC_TRY(copy(s, gc_domain(model->opset_import[i]->domain), &v->opsets[i].domain));
        v->opset_count++;
    }
    return GRADCAM_OK;
}

static gradcam_status see_model(surveyor *s, gc_bytes bytes)
{
    gc_field field;
    gc_bytes graph = {NULL, 0};
    GcOnnx__Model *model = NULL;
    gc_wire wire = gc_wire_of(bytes);
    while (gc_wire_next(&wire, &field)) {
        if (field.type == GC_WIRE_BYTES && field.number == MODEL_GRAPH)
            graph = field.content;
        else if (field.type == GC_WIRE_BYTES && field.number == MODEL_FUNCTION)
            GC_TRY(see_function(s, field.content));
    }
    const char *const kind = gc_source_recognise(bytes);
    GC_FAIL_IF(kind != NULL, s->error, GRADCAM_ERROR_MODEL, "%s", kind);
    GC_FAIL_IF(wire.malformed || graph.data == NULL, s->error, GRADCAM_ERROR_MODEL,
               "truncated or not an ONNX model (%zu bytes in all)", bytes.size);
    GC_TRY(gc_unpack(&model, &gc_onnx__model__descriptor, bytes,
                     1u << MODEL_GRAPH | 1u << MODEL_FUNCTION, s->error));
    const gradcam_status status = see_header(s, model);
    gc_unpacked_free(model);
    GC_TRY(status);
    return see_graph(s, graph);
}

static int more_frequent(const void *a, const void *b)
{
    const gc_survey_operator *const x = a, *const y = b;
    return x->count != y->count ? y->count - x->count : strcmp(x->name, y->name);
}

/* What grew goes into the arena. */
static gradcam_status keep(surveyor *s)
{
    gc_survey *const v = s->survey;
    GC_TRY(
        gc_arena_new(v->arena, &v->operators, v->operator_count, sizeof *v->operators, s->error));
    GC_TRY(gc_arena_new(v->arena, &v->inputs, v->input_count, sizeof *v->inputs, s->error));
    GC_TRY(gc_arena_new(v->arena, &v->outputs, v->output_count, sizeof *v->outputs, s->error));
    for (size_t i = 0; i < v->operator_count; i++)
        v->operators[i] = s->counted[i];
    for (size_t i = 0; i < v->input_count; i++)
        v->inputs[i] = s->inputs[i];
    for (size_t i = 0; i < v->output_count; i++)
        v->outputs[i] = s->outputs[i];
    if (v->operator_count > 0)
        qsort(v->operators, v->operator_count, sizeof *v->operators, more_frequent);
    return GRADCAM_OK;
}

static gradcam_status survey_source(surveyor *s, gc_bytes bytes)
{
    GC_TRY(gc_arena_create(&s->survey->arena, s->error));
    GC_TRY(gc_map_create(&s->initializers, s->error));
    GC_TRY(gc_map_create(&s->operators, s->error));
    GC_TRY(gc_map_create(&s->functions, s->error));
    GC_TRY(see_model(s, bytes));
    return keep(s);
}

gradcam_status gc_survey_file(gc_survey *survey, const char *path, gc_file_limit limit,
                              gradcam_error *error)
{
    gc_source source;
    *survey = (gc_survey){0};
    surveyor s = {.survey = survey, .error = error};
    gradcam_status status = gc_source_open(&source, path, 0, limit, error);
    if (status == GRADCAM_OK)
        status = survey_source(&s, source.bytes);
    gc_source_close(&source);
    gc_map_destroy(&s.initializers);
    gc_map_destroy(&s.operators);
    gc_map_destroy(&s.functions);
    gc_free(s.counted);
    gc_free(s.inputs);
    gc_free(s.outputs);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}

void gc_survey_free(gc_survey *survey)
{
    gc_arena_destroy(&survey->arena);
    *survey = (gc_survey){0};
}
