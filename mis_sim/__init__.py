"""A reference receiving MIS: verifies, checks, stores and shows what PMA delivers. Copy from it.

What a receiver has to do, and where it stands here: verify the signature over the bytes as they came, and the time
(`receiving.py`); answer 2xx only when the delivery is stored for good, and take each `webhook-id` once (`store.py`);
never let an older version of a resource replace a newer one; look for gaps in each lane's numbers.
"""
