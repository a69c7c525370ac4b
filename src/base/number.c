/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* strtod_l */
#include "base/number.h"

#include <locale.h>
#include <stdlib.h>

double gc_number_read(const char *text, char **end)
{
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) /* no memory, where that takes any */
        return strtod(text, end);
    const double number = strtod_l(text, end, plain);
    freelocale(plain);
    return number;
}
