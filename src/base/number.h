/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GC_BASE_NUMBER_H
#define GC_BASE_NUMBER_H

/** strtod with a decimal point, whatever the locale of the host: where that has a comma, "12,5"
 *  would be one number and "0.5" none. */
double gc_number_read(const char *text, char **end);

#endif
