#!/bin/sh
# Checks a project in a build: all formats that a server may want, then the budget if the project has one.
# In, by the environment: DECONFLICT_PATH (the project, `.`), DECONFLICT_DENY (`warnings`), DECONFLICT_SINCE (a git
# revision, or nothing), DECONFLICT_LOG (the format of the log, `human`), DECONFLICT_SUMMARY (a file to add Markdown to).
# Out: deconflict.sarif, gl-code-quality-report.json and deconflict.junit.xml in the folder it runs in; the exit code is
# the worst one of check and budget.
set -u
project=${DECONFLICT_PATH:-.}
worst=0

# Usage: check FORMAT [OPTION]...; the findings that are denied and those since a revision are the same in all formats.
check() {
    format=$1
    shift
    if [ -n "${DECONFLICT_SINCE:-}" ]; then
        set -- "$@" --changed-since "$DECONFLICT_SINCE"
    fi
    deconflict check "$project" --deny "${DECONFLICT_DENY:-warnings}" --format "$format" "$@"
}

check "${DECONFLICT_LOG:-human}" || worst=$?
# What could not be checked has nothing to be reported in other formats.
if [ "$worst" -le 1 ]; then
    check sarif --quiet >deconflict.sarif
    check gitlab --quiet >gl-code-quality-report.json
    check junit --quiet >deconflict.junit.xml
    if [ -n "${DECONFLICT_SUMMARY:-}" ]; then
        check markdown --quiet >>"$DECONFLICT_SUMMARY"
    fi
fi

budget=${DECONFLICT_BUDGET:-deconflict-budget.json}
if [ -f "$budget" ]; then
    code=0
    deconflict budget --check "$project" --budget "$budget" || code=$?
    if [ -n "${DECONFLICT_SUMMARY:-}" ] && [ "$code" -le 1 ]; then
        deconflict budget --check "$project" --budget "$budget" --quiet --format markdown >>"$DECONFLICT_SUMMARY"
    fi
    if [ "$code" -gt "$worst" ]; then
        worst=$code
    fi
fi
exit "$worst"
