/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator, one row each, in alphabetical order (the look-up relies on it). OP(X) stands for
 * `const gc_op gc_op_X`, defined in the file of its family. */
OP(AveragePool)
OP(Conv)
OP(ConvTranspose)
OP(Gemm)
OP(GlobalAveragePool)
OP(GlobalLpPool)
OP(GlobalMaxPool)
OP(Hardmax)
OP(LogSoftmax)
OP(LpPool)
OP(MatMul)
OP(MaxPool)
OP(Relu)
OP(Softmax)
