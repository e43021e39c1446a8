"""The papers' tables typed a second time, by columns, to hold docs/papers/*.csv against; "-" is an empty cell.

{(csv, table): (rows, {column: its figures from top to bottom})}; a figure may have a spread behind "~".
"""

_SCHEMES = "self_paced hard_negative_mining linear_weighting prediction_variance focal_loss temporal_mixture"
_MSE = {
    "logistic": "8.9~0.8e-3 7.1~0.7e-3 9.2~0.1e-4 6.8~0.1e-3 1.7~0.0e-3 1.8~0.0e-1",
    "mlp": "1.1~0.3e-5 1.6~0.6e-5 1.2~0.4e-4 4.0~0.1e-3 6.0~3.5e-5 1.9~0.4e-2",
    "cnn": "4.9~1.0e-2 2.7~0.6e-3 1.1~0.2e-4 2.8~0.4e-2 1.2~0.3e-2 1.2~0.6e-1",
    "rnn": "1.6~1.0e-2 2.2~0.4e-3 2.0~0.3e-2 6.2~0.2e-3 1.2~0.3e-2 6.6~0.4e-2",
    "mentornet": "1.6~0.5e-6 6.6~4.5e-7 4.4~1.3e-5 1.4~0.7e-3 1.5~0.8e-5 1.2~1.1e-4",
}
_STUDENTS = "cifar10_inception cifar10_resnet101 cifar100_inception cifar100_resnet101 imagenet_inception_resnet"
_OTHERS = (
    "co_teaching_plus mixup pencil meta_learning m_correction augdesc gce sel_cl_plus mlc mslc moit_plus tcl dividemix "
    "l2b_dividemix unicon l2b_unicon c2d l2b_c2d"
)
_SIZES = " ".join(
    f"{base} l2b_{base}_clean0 l2b_{base}_clean500 l2b_{base}_clean1000" for base in ("dividemix", "unicon", "c2d")
)

TYPED: dict[tuple[str, str], tuple[str, dict[str, str]]] = {
    ("icml", "table 1"): (
        _STUDENTS,
        {"parameters": "1.7 84 1.7 84 59", "train": ".83 1 .64 1 .88", "validation": ".81 .96 .49 .79 .77"},
    ),
    ("icml", "table 2"): (
        "fullmodel forgetting self_paced focal_loss reed_soft mentornet_pd mentornet_dd",
        {
            "resnet101_cifar100_0.2": ".60 .61 .70 .59 .62 .72 .73",
            "resnet101_cifar100_0.4": ".45 .44 .55 .44 .46 .56 .68",
            "resnet101_cifar100_0.8": ".08 .16 .13 .09 .08 .14 .35",
            "resnet101_cifar10_0.2": ".82 .78 .89 .79 .81 .91 .92",
            "resnet101_cifar10_0.4": ".69 .63 .85 .65 .63 .77 .89",
            "resnet101_cifar10_0.8": ".18 .35 .28 .28 .18 .33 .49",
            "inception_cifar100_0.2": ".43 .42 .44 .43 .42 .44 .46",
            "inception_cifar100_0.4": ".38 .37 .38 .38 .39 .39 .41",
            "inception_cifar100_0.8": ".15 .17 .14 .15 .12 .16 .20",
            "inception_cifar10_0.2": ".76 .76 .80 .77 .78 .79 .79",
            "inception_cifar10_0.4": ".73 .71 .74 .74 .73 .74 .76",
            "inception_cifar10_0.8": ".42 .44 .33 .40 .39 .44 .46",
        },
    ),
    ("icml", "table 3"): (
        "reed_hard reed_soft goldberger azadi_2016 mentornet_dd",
        {"cifar10": ".62 .61 .70 .75 .89", "cifar100": ".47 .46 .46 - .68"},
    ),
    ("icml", "table 4"): (
        "noreg noreg_wedecay noreg_dropout noreg_dataaug noreg_mentornet fullmodel forgetting mentornet",
        {
            "P@1": ".538 .560 .575 .522 .590 .612 .628 .651",
            "P@5": ".770 .809 .807 .772 .814 .844 .845 .859",
        },
    ),
    ("icml", "table 5 (entire)"): (
        "li_2017 forgetting lee_2017_star mentornet mentornet_star",
        {
            "ILSVRC12 P@1": ".476 .590 .602 .625 .642",
            "ILSVRC12 P@5": ".704 .808 .811 .830 .848",
            "WebVision P@1": ".570 .666 .685 .708 .726",
            "WebVision P@5": ".779 .856 .865 .880 .889",
        },
    ),
    ("icml", "table 5 (mini)"): (
        "fullmodel forgetting reed_soft self_paced mentornet",
        {"ILSVRC12 P@1": ".585 .562 .565 .576 .638", "ILSVRC12 P@5": ".818 .816 .827 .822 .858"},
    ),
    ("icml", "appendix D table 1"): (_SCHEMES, _MSE),
    ("v1", "table 1"): (_SCHEMES, _MSE),
    ("v1", "table 2"): (
        _STUDENTS,
        {"parameters": "1.7 84 1.7 84 59", "train": ".83 1 .64 1 .88", "test": ".81 .96 .49 .79 .77"},
    ),
    ("v1", "table 3"): (
        "reed_hard reed_soft s_model_simple_cnn s_model air mentornet",
        {"cifar10": ".623 .613 - .699 .75 .766", "cifar100": ".465 .460 .325 .458 - .569"},
    ),
    ("v1", "table 4"): (
        "self_paced focal_loss mentornet mentornet_finetuned",
        {
            "0.0": ".69 .77 .73 .78",
            "0.2": ".61 .59 .72 .74",
            "0.4": ".52 .44 .57 .59",
            "0.8": ".13 .09 .13 .31",
            "average": ".49 .47 .54 .60",
        },
    ),
    ("v1", "table 5"): (
        "noreg noreg_mentornet noreg_wedecay noreg_dropout noreg_dataaug fullmodel mentornet",
        {"P@1": ".538 .590 .560 .575 .522 .612 .642", "P@5": ".770 .814 .809 .807 .772 .844 .857"},
    ),
    ("v1", "table 6"): (
        "fullmodel reed_soft s_model self_paced mentornet",
        {"P@1": ".585 .560 .561 .543 .622", "P@5": ".818 .826 .824 .798 .845"},
    ),
    ("l2rw", "table 1"): (
        "baseline reed_hard s_model mentornet random clean_only baseline_ft mentornet_ft random_ft l2rw",
        {
            "cifar10": "67.97~.62 69.66~1.21 70.64~3.09 76.6 86.06~.32 46.64~3.90 78.66~.44 78 86.55~.24 86.92~.19",
            "cifar100": "50.66~.24 51.34~.17 49.10~.58 56.9 58.01~.37 9.94~.82 54.52~.40 59 58.54~.52 61.34~2.06",
        },
    ),
    ("l2rw", "table 2"): (
        "baseline baseline_es random weighted reed_soft_es reed_hard_es s_model s_model_conf s_model_conf_es "
        "clean_only baseline_ft baseline_es_ft weighted_ft s_model_conf_ft s_model_conf_es_ft l2rw",
        {
            "cifar10": "59.54~2.16 64.96~1.19 69.51~1.36 79.17~1.36 63.47~1.05 65.22~1.06 58.60~2.33 68.93~1.09 "
            "79.24~.56 15.90~3.32 82.82~.93 85.19~.46 85.98~.47 81.90~.85 85.86~.63 86.73~.48",
            "cifar100": "37.82~.69 39.08~.65 36.56~.44 36.56~.44 38.44~.90 39.03~.55 37.02~.34 46.72~1.87 "
            "54.50~2.51 8.06~.76 54.23~1.75 55.22~1.40 53.99~1.62 53.11~1.33 55.75~1.26 59.30~.60",
        },
    ),
    ("s2e", "table 2"): (
        "mnist_sym20 mnist_sym50 mnist_pair45 cifar10_sym20 cifar10_sym50 cifar10_pair45 cifar100_sym20 cifar100_sym50 "
        "cifar100_pair45",
        {
            "co_teaching": "97.83 96.54 93.27 57.24 47.14 44.87 44.89 36.53 27.30",
            "single": "97.67 96.56 94.99 57.83 47.81 45.19 44.93 36.71 31.25",
            "rbf": "96.94 95.53 89.37 56.58 45.15 42.61 44.24 30.99 27.96",
            "mlp": "97.69 96.16 93.25 56.82 46.18 44.26 44.57 35.88 28.06",
            "paper": "97.87 96.90 95.47 58.73 50.82 47.58 45.32 38.74 32.44",
        },
    ),
    ("s2e", "table 5"): ("asng s2e", {"sym20": "57.82 58.73", "sym50": "47.34 50.82", "pair45": "41.46 47.58"}),
    ("l2b", "table 1"): (
        "ce bootstrap l2rw l2b",
        {
            "cifar10_20": "86.9 85.2 90.6 92.2",
            "cifar10_30": "84.9 84.8 89.0 90.7",
            "cifar10_40": "83.3 82.9 86.6 89.9",
            "cifar10_50": "81.3 79.2 85.3 88.5",
            "cifar100_20": "59.6 61.8 67.8 71.8",
            "cifar100_30": "52.2 54.2 63.8 69.5",
            "cifar100_40": "49.2 50.2 59.7 67.3",
            "cifar100_50": "44.4 45.8 55.6 64.5",
            "isic_20": "79.4 80.8 80.1 81.1",
            "isic_30": "77.5 77.7 77.7 80.2",
            "isic_40": "75.3 75.7 76.3 78.6",
            "isic_50": "73.7 74.8 74.1 76.8",
        },
    ),
    ("l2b", "table 2"): (
        _OTHERS,
        {
            "cifar10_20": "89.5 95.6 92.4 92.9 94.0 96.3 90.0 95.5 92.6 93.4 94.1 95.0 96.1 96.1 96.0 96.5 96.3 96.7",
            "cifar10_50": "85.7 87.1 89.1 89.3 92.0 95.4 89.3 93.9 88.1 89.9 91.8 93.9 94.6 95.4 95.6 95.8 95.2 95.6",
            "cifar10_80": "67.4 71.6 77.5 77.4 86.8 93.8 73.9 89.2 77.4 69.8 81.1 92.5 93.2 94.0 93.9 94.7 94.4 94.8",
            "cifar10_90": "47.9 52.2 58.9 58.7 69.1 91.9 36.5 81.9 67.9 56.1 74.7 89.4 76.0 91.3 90.8 92.8 93.5 94.4",
            "cifar100_20": "65.6 67.8 69.4 68.5 73.9 79.5 68.1 76.5 66.8 72.5 75.9 78.0 77.3 77.9 78.9 78.8 78.7 80.1",
            "cifar100_50": "51.8 57.3 57.5 59.2 66.1 77.2 53.3 72.4 52.7 65.4 70.6 73.3 74.6 75.9 77.6 77.3 76.4 78.1",
            "cifar100_80": "27.9 30.8 31.1 42.4 48.2 66.4 22.1 59.6 21.8 24.3 47.6 65.0 60.2 62.2 63.9 67.6 67.8 69.6",
            "cifar100_90": "13.7 14.6 15.3 19.5 24.3 41.2 8.9 48.8 15.0 16.7 41.8 54.5 31.5 35.8 44.8 49.6 58.7 60.7",
        },
    ),
    ("l2b", "table 3"): (
        "ce f_correction m_correction chen p_correction reed tanaka nlnl jnpl dividemix mlnt l2rw mw_net mslc "
        "meta_learning distilling l2b_naive l2b_c2d",
        {"cifar10_asym40": "85.0 87.2 87.4 88.6 88.5 92.3 88.9 89.9 90.7 93.4 89.2 89.2 89.7 91.6 88.6 90.2 91.8 94.0"},
    ),
    ("l2b", "table 4"): (
        "ce m_correction pencil dividemix nested augdesc rrl gce c2d mlnt mlc mslc meta_cleaner meta_weight famus mslg "
        "disc instancegm dividemix_snscl l2b",
        {
            "clothing1m": "69.2 71.0 73.5 74.8 74.9 75.1 74.9 73.3 74.3 73.5 75.8 74.0 72.5 73.7 74.4 76.0 73.7 74.4 "
            "75.3 77.5~.2"
        },
    ),
    ("l2b", "table 5"): (
        "standard clean_only reweighting mixup l2b",
        {
            "dice": "73.74 73.04 76.64 69.18 80.83",
            "hd": "11.63 17.06 8.33 13.25 6.68",
            "asd": "3.70 5.50 2.75 4.56 2.10",
        },
    ),
    ("l2b", "table 6"): ("standard l2b", {"l1": "59.77 77.70", "l2": "73.74 80.83", "l3": "80.03 82.01"}),
    ("l2b", "table 7"): (
        _SIZES,
        {
            "cifar10_20": "96.1 96.3 96.1 96.1 96.0 96.4 96.3 96.5 96.4 96.4 96.6 96.7",
            "cifar10_50": "94.6 95.3 95.3 95.4 95.6 95.6 95.6 95.8 95.3 95.6 95.5 95.6",
            "cifar10_80": "93.2 93.5 93.8 94.0 93.9 94.2 94.5 94.7 94.4 94.9 94.9 94.8",
            "cifar10_90": "76.0 82.6 91.1 91.3 90.8 92.5 92.7 92.8 93.5 93.7 94.0 94.4",
            "cifar100_20": "77.3 77.6 78.2 77.9 78.9 78.7 78.5 78.8 78.7 79.1 79.5 80.1",
            "cifar100_50": "74.6 75.3 75.3 75.9 77.6 77.4 77.5 77.3 76.4 77.8 77.9 78.1",
            "cifar100_80": "60.2 60.8 62.5 62.2 63.9 68.0 67.8 67.6 67.8 68.5 69.0 69.6",
            "cifar100_90": "31.5 31.0 34.0 35.8 44.8 48.6 51.1 49.6 58.7 60.3 60.8 60.7",
        },
    ),
    ("l2b", "table 8"): (
        "ce alpha_zero beta_zero alpha_plus_beta_one full",
        {"cifar100_20": "59.6 55.7 63.2 64.8 71.8", "cifar100_40": "49.2 47.1 57.5 59.1 67.3"},
    ),
}
