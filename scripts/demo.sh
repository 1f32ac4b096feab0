#!/bin/sh
# The whole path on the digits competition: predict, audit, search, submit, verify.
set -eu
blend=$1
start=$(date +%s)
step() { printf '\n\033[1m$ %s %s\033[0m\n' "$blend" "$*"; "$blend" "$@"; }

step doctor
# Without ONNX Runtime the embedded engine refuses one model (exit 4) and runs the six others; the demo goes on with them.
step predict || [ $? -eq 4 ]
step audit
step search --target cv
# The demo's test labels were held back from the models and the search; a real contest tells them never or afterwards.
step submit --labels models/digits/data/test_labels.csv
step verify
step report

cat <<T

Done in $(($(date +%s) - start)) s. What there is now:
  models/digits/*/oof.feather, test.feather   stored outputs of every model, and run.yaml: where they came from
  blends/digits/best_cv.yaml                  the recipe: members, weights, scores, fingerprints
  submissions/digits/report.html              all of it on one page, for a browser
  submissions/digits/best_cv.csv              the submission; best_cv.yaml beside it says what it was made from
What to type next:
  $blend search --target cv --space log --name geometric
  $blend search --target cv --solver greedy --name greedy
  $blend list metrics
  $blend -c neutrino predict    (another contest: directions of simulated neutrinos; then audit, search, submit, verify)
  $blend init NAME --metric log_loss --truth FILE --folds FILE   (a competition of your own)
T
