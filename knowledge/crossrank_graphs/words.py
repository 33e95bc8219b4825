"""Words that the rules treat in a way of their own."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBERS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
}

COLOURS = _words(
    "black white red green blue yellow orange pink purple brown grey gray silver gold golden "
    "beige tan maroon teal turquoise violet navy blond blonde"
)
"""What makes of a preceding "dark" or "light" a shade."""

SHADES = _words("dark light bright pale deep")

MATERIALS = _words(
    "metal wood wooden leather stone brick concrete glass plastic paper dirt rock wire asphalt "
    "cement steel iron cotton wool denim marble tile gravel sand straw bamboo ceramic wicker "
    "chrome velvet lace silk fur foam rubber cardboard aluminum copper brass bronze granite "
    "gold silver spandex khaki polo baby toddler adult teenage female male mother chocolate "
    "suit cherry tail storm ocean "
    "black white red green blue yellow orange pink purple brown grey gray beige tan maroon teal "
    "striped plaid camouflage shirtless laptop wine vanilla cheese strawberry"
)
"""Nouns before a noun that say what it is rather than name a kind of thing."""

QUANTIFIERS = _words(
    "group bunch pair lot couple number bit piece pile row set slice stack crowd herd "
    "flock pack variety collection line array dozen hundred thousand lots bits dozens mound "
    "part type kind sort team series cluster patch bank alot"
)
"""Heads of "… of things" that are no thing of their own."""

KEPT_QUANTIFIERS = {"group": "group of", "crowd": "crowd", "part": "part", "mound": "mound"}

VAGUE = _words(
    "other another many several some few more such same own each every only else all both "
    "next first last multiple most numerous certain color colour colored coloured"
)
"""Adjectives that say nothing a picture shows."""

PLACES = {
    "top": "on top of",
    "side": "on side of",
    "middle": "on middle of",
    "center": "in center of",
    "centre": "in center of",
    "front": "in front of",
    "back": "on back of",
    "corner": "in corner of",
    "edge": "on edge of",
    "end": "in end of",
    "bottom": "on bottom of",
    "base": "at base of",
    "left": "to left of",
    "right": "to right of",
    "foot": "at foot of",
    "inside": "inside",
    "outside": "outside",
    "midst": "in midst of",
}
"""Nouns that together with their prepositions order two places."""

CONTAINERS = {
    "plate": "on",
    "bowl": "in",
    "basket": "in",
    "glass": "in",
    "cup": "in",
    "box": "in",
    "bag": "in",
    "bottle": "in",
    "tray": "on",
    "vase": "in",
    "pot": "in",
    "bucket": "in",
    "forest": "in",
    "jar": "in",
    "pan": "in",
    "dish": "on",
    "body": "in",
    "thicket": "in",
}
"""What of "a plate of food": the food is on the plate."""

CLOTHES = _words(
    "shirt t-shirt tshirt hat cap coat jacket dress suit pants shorts jeans skirt sweater hoodie "
    "uniform vest tie shoe boot glove helmet sock outfit jersey swimsuit bikini wetsuit costume "
    "sweatshirt scarf top tuxedo robe gown blouse trousers trunk headband tank glasses sunglasses "
    "goggles short pant jean gear clothes clothing attire overalls sandal sneaker kimono"
)

ANIMATE = _words(
    "man woman boy girl person people child kid guy lady player dog cat horse cow bird "
    "baby toddler teenager adult couple skier snowboarder surfer biker rider "
    "skateboarder cyclist climber runner swimmer worker batter pitcher catcher puppy sheep "
    "elephant giraffe zebra bear gentleman youth male female crowd group team soldier"
)
"""What sits, stands and holds, rather than the shirt that stands nearer to the verb."""

NO_SUBJECTS = _words("a an the this that these those there it he she they we i you")

NOUNS_IN_ING = _words(
    "building awning railing writing painting flooring lighting ceiling clothing wedding "
    "crossing landing string icing topping frosting marking drawing paving wing ring king "
    "morning evening thing bedding covering carving dumpling duckling sibling "
    "pudding stocking legging"
)

VERBS = {"lie": "lay", "sits": "sit", "lying": "lay"}
"""FACTUAL's people write "lay on" for both."""

SIDES = _words("left right front")
"""Adjectives that name a part together with its noun: "left hand", "front leg"."""

FIXED = frozenset(
    {("hot", "dog"), ("teddy", "bear"), ("cutting", "board"), ("ice", "cream"), ("wet", "suit")}
)

SPELLING = {
    "cell phone": "cellphone",
    "t shirt": "t-shirt",
    "tee shirt": "t-shirt",
    "tshirt": "t-shirt",
    "wet suit": "wetsuit",
    "guy": "person",
    "beneath": "under",
    "underneath": "under",
    "below": "under",
}
"""How FACTUAL's people write some names and prepositions."""

ADJECTIVES = {"wood": "wooden", "blond": "blonde"}

HOLDING = _words("hold have carry wear catch put place")
"""Verbs after whose object a preposition speaks of the object: "holds a cup in his hand"."""

STATIC = _words("park sit stand lay lean rest walk run drive pose wait swim stop")
"""Verbs of which "by" names a place and no agent."""

DOING = _words(
    "runs walks jumps stands sits plays rides climbs crouches leaps poses kneels rests swims dives "
    "races skis surfs smiles laughs looks leans skates slides talks works waits lays lies chases "
    "play run jump walk stand sit pose"
)
"""Verbs that the tagger takes for nouns after a noun: "a boy in a coat walks down"."""

AGENTIVE = _words(
    "wear hold carry ride play eat watch read sell talk smile laugh drink push pull throw wave sing"
)
"""Verbs whose subject is a person or an animal, however far away."""

SYMMETRIC = (
    "next to",
    "beside",
    "near",
    "with",
    "alongside",
    "by",
    "around",
    "between",
    "and",
    "over there",
)
"""Ends of predicates that say the same from either side."""

OPPOSITES = {
    "in front of": "behind",
    "on top of": "under",
    "on": "under",
    "onto": "under",
    "behind": "in front of",
    "under": "on",
    "above": "below",
    "below": "above",
    "over": "under",
    "inside": "outside",
    "outside": "inside",
    "into": "out of",
    "out of": "into",
    "in": "outside",
    "up": "down",
    "down": "up",
    "towards": "away from",
    "toward": "away from",
    "to the left of": "to the right of",
    "to the right of": "to the left of",
}
"""Prepositions and what to put for the contrary."""

PLURALS = _words("people men women children sheep deer geese feet teeth police cattle mice")

CLASSES = {
    **dict.fromkeys(COLOURS, "colour"),
    **dict.fromkeys(_words("large small big little tiny huge tall short long giant"), "size"),
    **dict.fromkeys(_words("young old older elderly younger"), "age"),
    **dict.fromkeys(_words("striped plaid checkered spotted patterned"), "pattern"),
    **dict.fromkeys(
        _words("wooden metal plastic brick stone concrete glass leather paper rubber"), "material"
    ),
    **dict.fromkeys(_words("wet dry muddy sandy snowy grassy rocky dirty icy"), "surface"),
}
"""Attributes that can stand for each other."""

THINGS = {
    **dict.fromkeys(ANIMATE, "alive"),
    **dict.fromkeys(CLOTHES, "clothes"),
    **dict.fromkeys(
        _words(
            "grass beach field street road snow sand water pool lake river ocean sea park hill "
            "mountain rock wood forest sidewalk yard track path ground sky air wave city building "
            "house wall tree fence bench table stage ramp rail slope cliff pond stream "
            "playground swing court stadium shore background"
        ),
        "place",
    ),
    **dict.fromkeys(
        _words(
            "ball frisbee stick toy bone bike bicycle motorcycle skateboard surfboard snowboard "
            "scooter car truck boat canoe kayak sled raft rope flag sign umbrella camera phone "
            "guitar drum microphone book bag backpack racket racquet bat kite balloon bottle cup "
            "glass cigarette tennis soccer basketball football ski pole hoop disc disk"
        ),
        "thing",
    ),
}
"""Objects that can stand for each other."""
