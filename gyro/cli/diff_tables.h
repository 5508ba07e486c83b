#pragma once

#include <string>
#include <vector>

#include "gyro/cli/table.h"
#include "gyro/diff/result.h"

namespace gyro {

/// What a result is called by its models in tables: posts and controls in order.
std::vector<std::string> model_names(const DiffResult& result);

/// Each type's α mean ± std (the paper's Table 3) of every model, with the null's and the ratio to it.
Table scaling_table(const DiffResult& result);
/// Whether a comparison has where_table: of older results and of noise none.
bool has_where_table(const Comparison& comparison);
/// What changed where, of each type: how much, how many matrices not at all, and the energy of the change, the
/// subspaces and the spectra beside chance; † where |z| > 4. Only rows that say something, so narrow that seven types
/// stand beside each other in 80 columns.
Table where_table(const Comparison& comparison);
/// The singular values of the change, and where the changed weights lie: no rows where these were not measured.
Table update_spectrum_table(const Comparison& comparison);
Table masks_table(const Comparison& comparison);
/// What else was measured of each type of one comparison.
Table measures_table(const Comparison& comparison);
/// Findings by models: a mark and the verdict in a word.
Table verdict_table(const DiffResult& result);
/// How experts' figures spread over all experts of all layers, a column for each type that has such and has changed; no
/// column where none has.
Table experts_table(const Comparison& comparison);
/// "* NF of W_O over 2 of 3 matrices: that of layer 0 has rank 62 of 64 (rows 3, 17 are zero in base and post)": what
/// is pooled over some matrices only, which the tables mark, and which are left out.
std::vector<std::string> lacking_lines(const Comparison& comparison);

/// ✓ beyond chance, ≈ beyond chance and small, ○ as chance or not there, – not asked or undefined.
std::string verdict_mark(Verdict verdict);

/// How many matrices were measured, how precisely, and which flags they have.
std::string precision_line(const Comparison& comparison);

}  // namespace gyro
