"""What CloudFormation works on at once, by what waits for what."""

from collections.abc import Mapping, Set
from graphlib import TopologicalSorter


def at_once(weights: Mapping[str, int], waits: Mapping[str, Set[str]]) -> int:
    """The largest sum of the weights of nodes of which none waits for another, directly or by way of others.

    It is the weight of all less what a chain can share: the largest antichain is as large as the smallest number of
    chains that hold everything (Dilworth), and each pair of a matching makes two chains one. A node of weight 2 counts
    as two of which none waits for the other.

    Parameters
    ----------
    weights
        The nodes that count.
    waits
        What each node waits for, whether it counts or not; without circles.
    """
    reached: dict[str, set[str]] = {}
    for node in TopologicalSorter(waits).static_order():
        direct = waits.get(node, set())
        reached[node] = {*direct, *(far for each in direct for far in reached[each])}
    copies = [(node, number) for node, weight in weights.items() for number in range(weight)]
    follows = {copy: [other for other in copies if other[0] in reached.get(copy[0], ())] for copy in copies}
    taken: dict[tuple[str, int], tuple[str, int]] = {}

    def matched(copy: tuple[str, int], seen: set[tuple[str, int]]) -> bool:
        for other in follows[copy]:
            if other not in seen:
                seen.add(other)
                if other not in taken or matched(taken[other], seen):
                    taken[other] = copy
                    return True
        return False

    return len(copies) - sum(matched(copy, set()) for copy in copies)
