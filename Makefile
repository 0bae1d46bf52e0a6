# Every target makes the environment that it needs. `make help` lists them.

PYTHON ?=
VENV ?= .venv
LIBRARIES := _build/libraries
MINISEARCH := 7.2.0

# In shells' words: a path may hold spaces, which make would take for the end of a word.
export PATH := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help book pdf check test lab speed vocabulary libraries exhaustive collapse trial lint links lock katex minisearch fonts clean environment

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

book: environment  ## Build the book into _build/html; only chapters that changed are run, JOBS=2 of them at a time
	@jupyter-book build . --quiet -W --keep-going

pdf: book  ## Print the book into one PDF, _build/pdf/cross-entropy-without-overflow.pdf: 90 seconds
	@python -m paper

check: environment  ## Test in a minute what needs no built book: the helpers, the notebooks, and claims that are quick to try
	@PYTHONWARNDEFAULTENCODING=1 pytest --numprocesses 2 --dist worksteal -m "not slow" helpers tests/helpers tests/claims tests/chapters tests/proofs

test: book  ## Build the book, then test everything
	@PYTHONWARNDEFAULTENCODING=1 pytest --numprocesses 2 --dist worksteal

lab: environment  ## Open the chapters in JupyterLab
	@jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/chapters

speed: environment  ## Measure the losses' speed, memory and accuracy beside TensorFlow, and record it: 4 minutes
	@python -m measure.speed

vocabulary: environment  ## Measure what the loss of a large vocabulary takes, and record it: 3 minutes
	@python -m measure.vocabulary

exhaustive: environment  ## Try every float32 logit and every pair of 16-bit numbers, search near each bound, and record it: 20 minutes
	@python -m measure.exhaustive
	@python -m measure.search

collapse: environment  ## Train with two formulas of one slope, and record it: 15 minutes; interrupted, it goes on
	@python -m measure.collapse

libraries: $(LIBRARIES)/.installed  ## Ask every library the same questions, and record it: 5 minutes; LIBRARY=torch asks one
	@$(LIBRARIES)/bin/python -m measure.libraries $(LIBRARY)

# PyTorch comes first, and as its build for CPUs, which its own index has: the one that PyPI has for Linux brings gigabytes of
# CUDA. A wheel in a folder that pip has been told of (PIP_FIND_LINKS) is taken, too.
$(LIBRARIES)/.installed: measure/libraries-requirements.txt | environment
	@echo "Installing the libraries into $(LIBRARIES)"
	@uv venv --quiet --clear --seed --python '$(VENV)/bin/python' $(LIBRARIES)
	@$(LIBRARIES)/bin/python -m pip install --quiet --no-deps "$$(grep '^torch==' $<)" \
	  --extra-index-url https://download.pytorch.org/whl/cpu
	@$(LIBRARIES)/bin/python -m pip install --quiet --no-deps --requirement $<
	@touch $@

trial: environment  ## Compute the exact answers to the questions of helpers.trial, and record them: 10 seconds
	@python -m measure.trial

lint: environment  ## Check the style of code and notebooks, and what the workflows say
	@ruff check --quiet
	@ruff format --quiet --check --diff
	@check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	@check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

links: book  ## Follow the links that leave the book, which takes the internet
	@jupyter-book build . --path-output _build/links --builder linkcheck --quiet >_build/links.log 2>&1 || { \
	  cat _build/links.log >&2; exit 1; }

lock: environment  ## Renew requirements.txt, and measure/libraries-requirements.txt, from pyproject.toml
	@echo '-e .[chapters,book,test]' | uv pip compile --quiet --upgrade --universal --fork-strategy fewest \
	  --python-version 3.11 --custom-compile-command 'make lock' --output-file requirements.txt -
	@grep == requirements.txt | uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-annotate \
	  --extra chapters --extra libraries --constraint - --custom-compile-command 'make lock' \
	  --output-file measure/libraries-requirements.txt pyproject.toml

# The characters that the formulas use, and others like them: KaTeX's fonts have thrice as many. U+E020 is the stroke of ≠.
SIGNS := U+20-7E,U+A0,U+AC,U+B1,U+B7,U+D7,U+F7,U+2C6-2DC,U+391-3A9,U+3B1-3C9,U+3D1,U+3D5,U+3D6,U+3F1,U+3F5,U+200B,U+2013,U+2014,$\
  U+2016,U+2018-201D,U+2020-2022,U+2026,U+2032,U+2113,U+2190-2194,U+21A6,U+21D0-21D4,U+2200-220B,U+220F-2213,U+2217-221E,$\
  U+2223-222B,U+223C,U+2243,U+2245,U+2248,U+2260-2265,U+226A,U+226B,U+2272,U+2273,U+2282-2287,U+2295-2299,U+22A2-22A5,$\
  U+22C0-22C5,U+22EE-22F1,U+2308-230B,U+239B-23B1,U+27E8,U+27E9,U+27F5-27FA,U+E006-E020

katex: environment  ## Renew _static/katex for the version of KaTeX that renders the formulas
	@rm -rf _build/katex && mkdir -p _build/katex
	@cd _build/katex && npm pack --silent "katex@$$(python -c 'from sphinxcontrib import katex; print(katex.katex_version)')" \
	  >/dev/null && tar xzf katex-*.tgz
	@cp _build/katex/package/dist/katex.min.css _build/katex/package/LICENSE _static/katex
	@for font in _build/katex/package/dist/fonts/*.woff2; do uvx --quiet --from 'fonttools[woff]' pyftsubset "$$font" \
	  --unicodes='$(SIGNS)' --layout-features='*' --flavor=woff2 --output-file="_static/katex/fonts/$${font##*/}"; done

minisearch: environment  ## Renew _static/search/minisearch.js, the library of the search
	@rm -rf _build/minisearch && mkdir -p _build/minisearch
	@cd _build/minisearch && npm pack --silent minisearch@$(MINISEARCH) >/dev/null && tar xzf minisearch-*.tgz && \
	  npx --yes esbuild@0.28.2 package/dist/umd/index.js --minify --legal-comments=none --log-level=warning \
	  --banner:js='// MiniSearch $(MINISEARCH), https://github.com/lucaong/minisearch, MIT' --outfile=minisearch.js
	@cp _build/minisearch/minisearch.js _static/search
	@cp _build/minisearch/package/LICENSE.txt _static/search/LICENSE

# The characters that the prose uses, and what European names need. Adobe reserves the font's name for the whole font, so the
# parts go without a name.
CHARACTERS := U+20-7E,U+A0-FF,U+2013,U+2014,U+2016,U+2018,U+2019,U+201C,U+201D,U+2026,U+2192,U+2212,U+221E,U+2248,U+2260,U+2264,$\
  U+2265,U+3B1,U+3B3-3B5,U+3BA,U+3C0,U+3C3,U+394,U+3A3

fonts: environment  ## Renew _static/fonts, the characters of Source Sans that the prose uses
	@rm -rf _build/fonts && mkdir -p _build/fonts
	@cd _build/fonts && npm pack --silent source-sans@3.52.0 >/dev/null && tar xzf source-sans-*.tgz
	@cp _build/fonts/package/LICENSE.md _static/fonts/LICENSE
	@for style in Regular It Semibold; do uvx --quiet --from 'fonttools[woff]' pyftsubset \
	  _build/fonts/package/WOFF2/TTF/SourceSans3-$$style.ttf.woff2 --unicodes='$(CHARACTERS)' --layout-features=kern,liga \
	  --name-IDs=0,13,14 --flavor=woff2 --output-file=_static/fonts/text-$$style.woff2; done

clean:  ## Remove the environment and everything that was built
	@rm -rf '$(VENV)' _build

# It is looked at each time: by its Python, if PYTHON names one, and by the age of requirements.txt.
environment:
	@PYTHON='$(PYTHON)' .ci/environment '$(VENV)'
