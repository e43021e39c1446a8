"""What is made of run folders: tables, plots, the sheet of suspects, the review page. Nothing here imports TensorFlow.

python -m mentornet.reports RUN [RUN ...]      compares runs
python -m mentornet.reports.review RUN         writes the page in which suspects are reviewed
"""

from mentornet.reports.review_page import review

__all__ = ["review"]
