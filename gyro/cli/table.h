#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace gyro {

/// A table as it is printed: a label and as many cells as there are columns in each row. Cells are text, as precise as
/// what they show is known.
struct Table {
  struct Row {
    std::string label;
    std::vector<std::string> cells;
    bool detail = false;  ///< of the row before it: its null, a ratio to it
  };
  std::string title;  ///< empty for none
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

/// For a terminal: columns aligned at the right, as many beside each other as `width` allows, the others below; long
/// labels cut in the middle where no column would fit beside them.
std::string text_table(Table table, size_t width);
/// GitHub's Markdown.
std::string markdown_table(const Table& table);
/// A LaTeX table of the package booktabs, with the title as its caption.
std::string latex_table(const Table& table);

}  // namespace gyro
