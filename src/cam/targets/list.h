/* SPDX-License-Identifier: Apache-2.0 */
/* Every target, in the order in which they are tried: ROW(symbol). A class takes what is left. */
ROW(probability)
ROW(log_probability)
ROW(rest)
ROW(difference)
ROW(top)
ROW(binary)
ROW(up)
ROW(down)
ROW(like)
ROW(element)
ROW(region)
ROW(class)
