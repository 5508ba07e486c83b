#include "gyro/report/embedded.h"

// The assembler reads the files (.incbin), so that five megabytes need not pass through the compiler. The build names
// the folders in GYRO_PAGE and GYRO_PLOTLY, and builds this file again when one of the files changes.
#define GYRO_EMBED(NAME, PATH)                  \
  asm(".pushsection .rodata\n"                  \
      ".global gyro_embedded_" #NAME            \
      "\n"                                      \
      "gyro_embedded_" #NAME                    \
      ":\n"                                     \
      ".incbin \"" PATH                         \
      "\"\n"                                    \
      ".global gyro_embedded_" #NAME            \
      "_end\n"                                  \
      "gyro_embedded_" #NAME                    \
      "_end:\n"                                 \
      ".byte 0\n"                               \
      ".popsection\n");                         \
  extern "C" const char gyro_embedded_##NAME[]; \
  extern "C" const char gyro_embedded_##NAME##_end[];

GYRO_EMBED(page_html, GYRO_PAGE "/page.html")
GYRO_EMBED(style_css, GYRO_PAGE "/style.css")
GYRO_EMBED(plotly_js, GYRO_PLOTLY "/plotly.min.js")

// clang-format off
#define GYRO_SCRIPTS(X)                                                                                        \
  X(data)                                                                                                      \
  X(format)                                                                                                    \
  X(theme) X(state) X(figures_where) X(traces) X(figure) X(image) X(print) X(tidy) X(tex) X(batch) X(values) X(panels) X(table) \
  X(summary) X(tables) X(figures_overview) X(figures_scaling) X(figures_rotation) X(figures_residual) X(families) \
      X(figures_spectra) X(figures_change) X(figures_posts) X(figures_trajectory) X(tables_quantities) X(experts) X(outside) X(evaluation) X(evaluation_words) X(figures_evaluation) X(evaluation_tables) \
      X(examples) X(probes) X(figures_attention) X(figures_cka) X(figures_drift) X(probe_tables) X(claims) X(made) X(cite) X(main)
// clang-format on
#define GYRO_EMBED_SCRIPT(NAME) GYRO_EMBED(NAME, GYRO_PAGE "/" #NAME ".js")
GYRO_SCRIPTS(GYRO_EMBED_SCRIPT)

namespace gyro {

#define GYRO_VIEW(NAME) \
  std::string_view(gyro_embedded_##NAME, static_cast<size_t>(gyro_embedded_##NAME##_end - gyro_embedded_##NAME))

std::string_view page_template() {
  return GYRO_VIEW(page_html);
}

std::string_view page_style() {
  return GYRO_VIEW(style_css);
}

std::string page_script() {
  std::string script;
#define GYRO_APPEND(NAME) script += GYRO_VIEW(NAME);
  GYRO_SCRIPTS(GYRO_APPEND)
  return script;
}

std::string_view plotly_script() {
  return GYRO_VIEW(plotly_js);
}

}  // namespace gyro
